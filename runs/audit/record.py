"""Keeps what audits found, for the page and for who asks later."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils import timezone

from pools.audit import drift as of_pools
from pools.audit.books import Finding
from pools.models import Audit, Hold, Repair
from pools.sizing import Author
from runs import states, tickets
from runs.audit import drift as of_runs
from runs.audit import looking
from runs.audit.looking import Look
from runs.models import Op, Run

KEPT = 500  # audits
# How the kinds begin.
AREAS = ("gate", "hold", "waiter", "lane", "run", "op", "worker", "ticket", "clock", "vacuum")
KINDS = {**of_pools.KINDS, **of_runs.KINDS, **of_runs.WARNINGS}  # what is looked for, with what it means


def audited(author: Author) -> Look:
    """Make an audit, and record it."""
    began = time.monotonic()
    found = looking.audit()
    keep(found, time.monotonic() - began, author)
    return found


def again(author: Author) -> Look:
    """Look once more, after a repair. What is in doubt counts if the last audit found it, too."""
    began = time.monotonic()
    last, found = newest(), looking.look()
    known = {finding.mark for finding in findings(last)} if last else set()
    found = replace(found, doubtful=tuple(finding for finding in found.doubtful if finding.mark in known))
    keep(found, time.monotonic() - began, author)
    return found


def keep(found: Look, seconds: float, author: Author) -> Audit:
    """Record an audit, and forget the oldest."""
    made = Audit.objects.create(
        at=found.at,
        seconds=seconds,
        who=author.who[:150],
        door=author.door,
        drift=len(found.findings),
        findings=[as_dict(finding) for finding in (*found.findings, *found.warnings)],
        unseen=list(found.unseen),
    )
    Audit.objects.filter(pk__lte=made.pk - KEPT).delete()
    tickets.announce({"audit"})
    return made


def newest() -> Audit | None:
    """The last audit."""
    return Audit.objects.order_by("-id").first()


def findings(audit: Audit) -> list[Finding]:
    """What an audit found, with its warnings."""
    fields = ("kind", "subject", "text", "remedy", "evidence")
    return [Finding(**{name: entry[name] for name in fields}) for entry in audit.findings]


def is_warning(finding: Finding) -> bool:
    """Whether it is no drift, and no repair sets it right."""
    return finding.kind in of_runs.WARNINGS


def stuck_among(holds: Sequence[Hold], names: Mapping[str, Op | Run]) -> dict[int, Finding]:
    """What the last audit found stuck of these holds, by their ids. It is asked only if one of them looks dead."""
    suspects = [hold for hold in holds if _looks_dead(hold, names.get(hold.holder))]
    last = newest() if suspects else None
    found = findings(last) if last else []
    stuck = {(found.subject, found.evidence["token"]): found for found in found if found.kind == of_pools.STUCK}
    at = {hold.pk: (hold.holder, str(hold.token)) for hold in suspects}
    return {hold_id: stuck[key] for hold_id, key in at.items() if key in stuck}


def _looks_dead(hold: Hold, named: Op | Run | None) -> bool:
    if hold.lease_until is not None and hold.lease_until < timezone.now():
        return True
    if isinstance(named, Op):
        return named.state not in states.OP_WITH_SLOTS or named.token != hold.token
    return named is None or named.state not in states.RUN_IN_PROGRESS


def repairs(most: int = 50) -> list[Repair]:
    """What was set right, newest first."""
    return list(Repair.objects.order_by("-id")[:most])


def as_dict(finding: Finding) -> dict[str, Any]:
    """A finding in JSON."""
    return {
        "kind": finding.kind,
        "subject": finding.subject,
        "text": finding.text,
        "remedy": finding.remedy,
        "evidence": dict(finding.evidence),
        "mark": finding.mark,
    }


def by_kind(found: Sequence[Finding]) -> Mapping[str, int]:
    """How many there are of each kind; every kind is named, those of the same things together."""
    kinds = sorted(KINDS, key=lambda kind: AREAS.index(kind.partition("_")[0]))
    return {kind: sum(finding.kind == kind for finding in found) for kind in kinds}
