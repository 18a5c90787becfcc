"""What an audit found, in words: what kind of drift, its evidence, and whether there is any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django import template
from django.utils.safestring import SafeString

from controlplane.dashboard.templatetags.sluice import badge, since
from pools.audit.books import Finding
from pools.models import Repair
from runs.audit.record import KINDS

register = template.Library()

register.simple_tag(badge, name="badge")


@register.filter
def title_of(finding: Finding) -> str:
    """What kind of drift it is."""
    return KINDS.get(finding.kind, finding.kind)


@register.filter
def slots_of(finding: Finding) -> str:
    """The slots that a stuck holder has: "a slot of pool database, a slot of queue default"."""
    return ", ".join(f"{_number(slots)} of {_gate(key)}" for key, slots in finding.evidence["holds"].items())


def _number(slots: int) -> str:
    return "a slot" if slots == 1 else f"{slots} slots"


def _gate(key: str) -> str:
    """A gate in words, by its key."""
    kind, _, label = key.partition(":")
    return {"runs": "the run queue", "pool": f"pool {label}", "workers": f"queue {label}"}.get(kind, key)


@register.filter
def facts(found: Finding | Repair) -> Iterator[tuple[str, str]]:
    """The evidence, fact by fact."""
    for name, value in found.evidence.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key}: {number}" for key, number in value.items())
        yield name.replace("_", " "), "–" if value in (None, "") else str(value)


@register.simple_tag
def drift(count: int) -> SafeString:
    """How much drift there is, in icon, word and colour."""
    return badge("stuck", "is-stuck", str(count)) if count else badge("ok", "is-ok", "0")


@register.simple_tag
def since_text(moment: str) -> SafeString | str:
    """How long ago, from a time as evidence writes it."""
    return since(datetime.fromisoformat(moment))
