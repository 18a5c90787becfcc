"""The words and drawings of the pages: states, slot strips, times, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from controlplane.dashboard.addresses import pool_key
from controlplane.dashboard.strips import strip
from pools import rules
from pools.models import Gate
from pools.outcome import Outcome
from pools.queries import PoolView, counted
from pools.reasons import Check, Prospect
from runs import queries, states
from runs.models import Op, Run
from runs.words import duration, whole_seconds

register = template.Library()

# What each state looks like: icon, class, word. The colour repeats what shape and word say.
RUN_LOOKS = {
    states.QUEUED: ("queue", "is-queue", "Queued"),
    states.STARTED: ("run", "is-run", "In progress"),
    states.CANCELING: ("off", "is-off", "Canceling"),
    states.SUCCESS: ("ok", "is-ok", "Succeeded"),
    states.FAILURE: ("fail", "is-fail", "Failed"),
    states.CANCELED: ("off", "is-off", "Canceled"),
}
OP_LOOKS = {
    states.PENDING: ("none", "is-off", "Not ready"),
    states.READY: ("wait", "is-wait", "Waiting"),
    states.ADMITTED: ("run", "is-run", "Starting"),
    states.RUNNING: ("run", "is-run", "Running"),
    states.UP_FOR_RETRY: ("redo", "is-wait", "Retries soon"),
    states.SUCCESS: ("ok", "is-ok", "Succeeded"),
    states.FAILURE: ("fail", "is-fail", "Failed"),
    states.SKIPPED: ("off", "is-off", "Skipped"),
    states.CANCELED: ("off", "is-off", "Canceled"),
}

register.filter("counted", counted)
register.filter("job_name", queries.job_name)
register.filter("pool_key", pool_key)


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """One of the icons of _icons.html."""
    return format_html('<svg class="ic {}" aria-hidden="true"><use href="#i-{}"/></svg>', extra, name)


@register.simple_tag
def state(thing: Run | Op, pill: bool = True, word: bool = True) -> SafeString:
    """The state of a run or an op: icon, word and colour."""
    looks = RUN_LOOKS if isinstance(thing, Run) else OP_LOOKS
    name, look, text = looks[thing.state]
    return badge(name, look, text, pill, word, spins=name == "run")


@register.simple_tag
def op_state(name: str) -> SafeString:
    """A state of ops."""
    return badge(*OP_LOOKS[name], pill=False)


def badge(name: str, look: str, text: str, pill: bool = True, word: bool = True, spins: bool = False) -> SafeString:
    shown = text if word else format_html('<span class="vh">{}</span>', text)
    return format_html(
        '<span class="st {} {}">{}{}</span>', look, "pill" if pill else "", icon(name, "spin" if spins else ""), shown
    )


@register.simple_tag
def pool_state(pool: PoolView, stuck: int | None = None) -> SafeString:
    """Whether a pool has room, and how many of its slots are stuck, in icon, word and colour."""
    if stuck:
        return format_html("{} {}", _room(pool), badge("stuck", "is-stuck", f"{stuck} stuck"))
    return _room(pool)


def _room(pool: PoolView) -> SafeString:
    if pool.paused:
        return badge("pause", "is-pause", f"Paused by {pool.paused_by}" if pool.paused_by else "Paused")
    if pool.limit == 0:
        return badge("off", "is-off", "Closed")
    if pool.over:
        return badge("wait", "is-wait", f"{pool.over} over the limit")
    if pool.full:
        return badge("wait", "is-wait", "Full")
    if pool.limit is None:
        return mark_safe('<span class="small soft">No limit</span>')
    return format_html('<span class="small soft">Room for {} more</span>', pool.free)


@register.simple_tag
def slots(pool: PoolView, stuck: int | None = None) -> SafeString:
    """A pool's slots and line: held cells, free cells, the gate, and a dot for each who waits.

    `stuck`: how many of its slots nobody alive holds.
    """
    return strip(pool.name, pool.in_use, pool.limit, pool.waiting, pool.paused, stuck or 0)


@register.simple_tag
def gate_slots(gate: Gate | Any, waiting: int = 0) -> SafeString:
    """The same for any gate."""
    return strip(gate.label, gate.in_use, gate.limit, waiting, gate.paused)


@register.simple_tag
def outcome_slots(outcome: Outcome) -> SafeString:
    """A pool's slots as they would stand right after an edit of its limit."""
    starts = outcome.starts or 0
    return strip(outcome.label, outcome.in_use + starts, outcome.to, outcome.in_line - starts, outcome.paused)


# --- times ------------------------------------------------------------------------------------------


@register.filter
def lasting(seconds: float | None) -> str:
    """A span of time in words; nothing for None."""
    return "" if seconds is None else duration(seconds)


@register.simple_tag
def since(moment: datetime | None) -> SafeString | str:
    """How long ago, as a duration that keeps counting on the page."""
    if moment is None:
        return ""
    seconds = max(0.0, (timezone.now() - moment).total_seconds())
    iso = moment.isoformat()
    return format_html('<time class="tn" datetime="{0}" data-since="{0}">{1}</time>', iso, whole_seconds(seconds))


@register.simple_tag
def until(moment: datetime | None) -> SafeString | str:
    """When something is to happen, in UTC: the page makes a countdown of it."""
    if moment is None:
        return ""
    form = "%H:%M:%S" if abs((moment - timezone.now()).total_seconds()) < 12 * 3600 else "%d %b, %H:%M"
    return format_html(
        '<time class="tn" datetime="{0}" data-until="{0}" title="{1} UTC">at {2} UTC</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        moment.strftime(form),
    )


@register.simple_tag
def clock(moment: datetime | None, form: str = "time") -> SafeString | str:
    """A time of day in UTC, which the page shows in the reader's zone. form: time, minute, exact, day."""
    if moment is None:
        return ""
    text = moment.strftime({"day": "%d %b, %H:%M", "minute": "%H:%M"}.get(form, "%H:%M:%S"))
    text += f".{moment.microsecond // 1000:03}" if form == "exact" else ""
    return format_html(
        '<time class="tn" datetime="{}" data-local="{}" title="{} UTC">{}</time>',
        moment.isoformat(),
        form,
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        text,
    )


@register.simple_tag
def lasted(run: Run) -> SafeString | str:
    """How long a run took, or has taken so far."""
    if run.started_at is None:
        return ""
    if run.ended_at is None:
        return since(run.started_at)
    return duration((run.ended_at - run.started_at).total_seconds())


# --- reasons ----------------------------------------------------------------------------------------


@register.simple_tag
def reason(check: Check) -> SafeString:
    """Why a candidate has no room at a gate, in one line with a link where there is a page."""
    pause = check.gate.pause if check.gate.paused else None
    if pause is None or pause.until is None:
        return format_html("{} {}", gate_name(check.gate), check.reason or "has room")
    by, why = f" by {pause.by}" if pause.by else "", f": {pause.reason}" if pause.reason else ""
    return format_html("{} is paused{} until {}{}", gate_name(check.gate), by, clock(pause.until, "day"), why)


@register.simple_tag
def taken(entry: Prospect) -> str:
    """Why a prospect is no reason to start, in words."""
    gate = entry.gate
    if gate.paused:
        return "is paused"
    waited = f", and {entry.waited_for} waited for" if entry.waited_for else ""
    return f"is taken: {gate.in_use} of {gate.limit} in use{waited}"


@register.simple_tag
def gate_name(gate: rules.Gate, at_beginning: bool = True) -> SafeString:
    """A gate in the words of `pools.rules`, its label linked to its page where it has one."""
    return limit_name(gate.kind, gate.label, at_beginning)


@register.simple_tag
def limit_name(kind: str, label: str, at_beginning: bool = True) -> SafeString:
    """The same by the gate's kind and label; also for what is waited for beside gates."""
    pages = {"pool": ("pool", [label]), "run_tag": ("limits", []), "runs": ("limits", [])}
    before, named, after = (rules.NAMES | rules.OTHER_NAMES)[kind].partition("{}")
    label = label if named else ""
    if at_beginning:
        before = before[:1].upper() + before[1:]
    if kind not in pages:
        shown = format_html('<span class="mono">{}</span>', label) if label else ""
        return format_html("{}{}{}", before, shown, after)
    view, arguments = pages[kind]
    where = reverse(view, args=arguments)
    if not label:
        return format_html('<a href="{}">{}</a>', where, before)
    return format_html('{}<a class="mono" href="{}">{}</a>{}', before, where, label, after)


@register.simple_tag
def who_is(holder: str, named: Op | Run | None) -> SafeString | str:
    """The op or run behind a holder's name, linked to its page."""
    if isinstance(named, Op):
        address = reverse("op", args=[named.run.uid, named.key])
        return format_html('<a href="{}">{} <span class="mono">{}</span></a>', address, named.key, named.run.short)
    if isinstance(named, Run):
        address = reverse("run", args=[named.uid])
        return format_html(
            '<a href="{}">{} <span class="mono">{}</span></a>', address, queries.job_name(named), named.short
        )
    return holder


@register.filter
def at(mapping: Mapping[Any, Any] | None, key: Any) -> Any:
    """The entry of a mapping, None without one."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def in_numbers(check: Check) -> str:
    """What a gate has in use, for a list of checks."""
    gate = check.gate
    return f"{gate.in_use} in use" if gate.limit is None else f"{gate.in_use} of {gate.limit}"


@register.simple_tag
def reserve_after() -> str:
    """After how long slots are kept for who is passed again and again, in words."""
    return duration(settings.RESERVE_AFTER)


# --- addresses --------------------------------------------------------------------------------------


@register.simple_tag
def with_filter(group: str = "", job: str = "", tag: str = "", before: int | None = None, page: str = "runs") -> str:
    """The runs page with a filter, or another page that takes the same."""
    query = {"state": group, "job": job, "tag": tag, "before": before}
    chosen = {name: value for name, value in query.items() if value}
    return reverse(page) + ("?" + urlencode(chosen) if chosen else "")


@register.filter
def grouped(number: int) -> str:
    """A number as people read it: 10 000."""
    return f"{number:,}".replace(",", " ")


@register.filter
def items(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The entries of a mapping, sorted; templates can't call .items where a key has that name."""
    return sorted(mapping.items())
