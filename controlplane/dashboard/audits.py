"""What the last audit found, for the pages: stuck slots apart from the rest, each with the op or run it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils import timezone

from pools.audit.books import Finding
from pools.audit.drift import STUCK
from pools.models import Audit, Hold
from runs import queries, states
from runs.audit import record
from runs.models import Op, Run

Found = list[tuple[Finding, Op | Run | None]]
Last = tuple[Audit | None, Found, Found]
NONE: Last = (None, [], [])


def last() -> Last:
    """The last audit, None before the first; the stuck slots that it found, and what else."""
    newest = record.newest()
    found = record.findings(newest) if newest else []
    names = queries.named([finding.subject for finding in found]) if found else {}
    stuck: Found = [(finding, names.get(finding.subject)) for finding in found if finding.kind == STUCK]
    return newest, stuck, [(finding, names.get(finding.subject)) for finding in found if finding.kind != STUCK]


def stuck_among(holds: Sequence[Hold], names: Mapping[str, Op | Run]) -> dict[int, Finding]:
    """What the last audit found of these holds, by their ids. It is asked only if one of them looks dead."""
    suspects = [hold for hold in holds if _looks_dead(hold, names.get(hold.holder))]
    newest = record.newest() if suspects else None
    found = record.findings(newest) if newest else []
    stuck = {(finding.subject, finding.evidence["token"]): finding for finding in found if finding.kind == STUCK}
    at = {hold.pk: (hold.holder, str(hold.token)) for hold in suspects}
    return {hold_id: stuck[key] for hold_id, key in at.items() if key in stuck}


def _looks_dead(hold: Hold, named: Op | Run | None) -> bool:
    if hold.lease_until is not None and hold.lease_until < timezone.now():
        return True
    if isinstance(named, Op):
        return named.state not in states.OP_WITH_SLOTS or named.token != hold.token
    return named is None or named.state not in states.RUN_IN_PROGRESS


def held_by_nobody(stuck: Found) -> list[str]:
    """The keys of the gates of which slots are stuck, once for each slot."""
    return [key for finding, _ in stuck for key, slots in finding.evidence["holds"].items() for _ in range(slots)]


def by_kind(audit: Audit | None) -> list[tuple[str, str, int]]:
    """Every kind of drift: its name, what it means, how much of it was found."""
    counts = record.by_kind(record.findings(audit) if audit else [])
    return [(kind, record.KINDS[kind], count) for kind, count in counts.items()]
