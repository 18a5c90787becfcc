"""What the last audit found, for the pages: stuck slots apart from the rest, each with the op or run it is about."""

from __future__ import annotations

from pools.audit.books import Finding
from pools.audit.drift import STUCK
from pools.models import Audit
from runs import queries
from runs.audit import record
from runs.models import Op, Run

Found = list[tuple[Finding, Op | Run | None]]
Last = tuple[Audit | None, Found, Found]
NONE: Last = (None, [], [])


def last() -> Last:
    """The last audit, None before the first; the stuck slots that it found, and what else."""
    newest = record.newest()
    found = [finding for finding in record.findings(newest) if not record.is_warning(finding)] if newest else []
    names = queries.named([finding.subject for finding in found]) if found else {}
    stuck: Found = [(finding, names.get(finding.subject)) for finding in found if finding.kind == STUCK]
    return newest, stuck, [(finding, names.get(finding.subject)) for finding in found if finding.kind != STUCK]


def warnings(audit: Audit | None) -> list[Finding]:
    """What an audit warns of: no drift."""
    return [finding for finding in record.findings(audit) if record.is_warning(finding)] if audit else []


def held_by_nobody(stuck: Found) -> list[str]:
    """The keys of the gates of which slots are stuck, once for each slot."""
    return [key for finding, _ in stuck for key, slots in finding.evidence["holds"].items() for _ in range(slots)]


def stuck_slots(stuck: Found) -> dict[str, int]:
    """How many slots of each pool are stuck, by its name."""
    keys = held_by_nobody(stuck)
    return {key.removeprefix("pool:"): keys.count(key) for key in set(keys) if key.startswith("pool:")}


def by_kind(audit: Audit | None) -> list[tuple[str, str, int]]:
    """Every kind of drift: its name, what it means, how much of it was found."""
    counts = record.by_kind(record.findings(audit) if audit else [])
    return [(kind, record.KINDS[kind], count) for kind, count in counts.items()]
