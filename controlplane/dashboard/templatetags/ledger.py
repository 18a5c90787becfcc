"""The change ledger in words: what a change was about, what it did, what undoing it would do."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pools.models import Change
from pools.sizing import DELETED, RUN_BUFFER
from runs.catalog import ASSET_JOB

register = template.Library()

FIELDS = {
    "limit": "limit",
    "description": "description",
    "paused": "pause",
    "granularity": "granularity",
    "default_limit": "default limit",
    RUN_BUFFER: "run buffer",
    "check_at_queue": "pool check at the queue",
    "max_concurrent_runs": "maximum",
    DELETED: "deletion",
}
SUBJECTS = {"pools": "All pools", "runs": "Runs in progress"}


@register.filter
def field_name(change: Change) -> str:
    """Which of its values was changed."""
    if change.field == "limit" and not change.before:
        return "new rule"
    if change.field == "preset":
        return "changed preset" if change.before else "new preset"
    return FIELDS.get(change.field, change.field)


@register.filter
def subject_name(subject: str) -> str:
    """What a change was about: the pool's or the rule's name."""
    found = SUBJECTS.get(subject) or subject.partition(":")[2] or subject
    return found.replace(f"{ASSET_JOB}:", "assets:", 1)


@register.simple_tag
def about(change: Change, look: str = "nm") -> SafeString:
    """What a change was about, linked to its page."""
    kind, _, name = change.subject.partition(":")
    match kind:
        case "pool":
            where = reverse("pool", args=[name])
        case "pools":
            where = reverse("settings")
        case "preset":
            job = name.partition(":")[0]
            where = reverse("jobs") if job == ASSET_JOB else reverse("launch", args=[job])
        case _:
            where = reverse("limits")
    mono = " mono" if kind == "rule" else ""
    return format_html('<a class="{}{}" href="{}">{}</a>', look, mono, where, subject_name(change.subject))


@register.simple_tag
def delta(change: Change) -> str:
    """What a change did: from what to what."""
    match change.field:
        case "deleted":
            return f"deleted, was {change.before}"
        case "paused":
            if change.before == change.after:
                return "pause changed"
            return "paused" if change.after == "yes" else "resumed"
        case "preset":
            return change.after
        case "description":
            return "described" if change.after else "description removed"
        case _:
            return f"{change.before or 'new'} → {change.after}"


@register.simple_tag
def undoing(change: Change) -> str:
    """What undoing a change does, in a sentence."""
    kind, name, was = change.subject.partition(":")[0], subject_name(change.subject), change.before
    match kind, change.field:
        case "pool", "limit" if was == "none":
            return f"{name} takes the default limit again."
        case "pool", "description":
            return f"{name} is described as “{was}” again." if was else f"{name} has no description again."
        case "pool", "paused":
            if was == change.after:
                return f"The pause of {name} has its former reason and end again."
            if was == "yes":
                return f"{name} is paused again: nobody new starts. Who holds a slot goes on."
            return f"{name} is open again: whoever fits starts at once."
        case "pool", "granularity" if was == "default":
            return f"{name} takes the granularity of all pools again."
        case "pool", "deleted":
            return f"{name} gets back {_listed(change)}."
        case "rule", "limit" if not was:
            return f"The run limit {name} goes. Runs that it alone holds back start at once."
        case "rule", "deleted":
            return f"The run limit {name} of {was} is in force again. It counts the runs in progress, and stops none."
        case "preset", "deleted":
            return f"The preset {name} is there again."
        case "preset", _ if not was:
            return f"The preset {name} goes."
        case "preset", _:
            return f"The preset {name} holds again what it held before."
    what = f"The {field_name(change)}" + ("" if kind in ("pools", "runs") else f" of {name}")
    shown = "no limit" if was == "none" else was
    return f"{what} is {shown} again. Whoever then fits starts at once; nobody who runs is stopped."


def _listed(change: Change) -> str:
    """What a deleted pool had."""
    was = change.detail or {"limit": change.before}
    parts = [f"its limit of {was['limit']}"] if was.get("limit") is not None else []
    parts += ["its description"] if was.get("description") else []
    parts += [f"its granularity {was['granularity']}"] if was.get("granularity") else []
    parts += ["its pause"] if was.get("paused") else []
    return ", ".join(parts) or "nothing: it had no settings of its own"


@register.simple_tag
def changes_about(subject: str = "", before: int | None = None) -> str:
    """The ledger with a filter."""
    chosen = {name: value for name, value in {"subject": subject, "before": before}.items() if value}
    return reverse("changes") + ("?" + urlencode(chosen) if chosen else "")


@register.filter
def as_from(address: str) -> str:
    """For the address of a change: the page that it is looked at from, to which undoing it leads back."""
    return f"?from={quote(address)}" if address else ""
