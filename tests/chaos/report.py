"""The table at the end: each kind of fault, how often it happened, what it cost."""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.chaos.faults import kinds
from tests.chaos.storm import Injection
from tests.chaos.verdict import DOUBLED, LOST, STUCK, Verdict

COLUMNS = ("fault", "injected", "lost", "doubled", "stuck", "recovery p50", "max", "max, with others", "overlap max")


def rows(database: str, injections: list[Injection], verdict: Verdict) -> list[dict[str, Any]]:
    """A line for each kind of fault; seconds are None where nothing was measured.

    The time to recovery is that of faults which happened alone; of those that came with others, the longest is told.
    """
    found = []
    for kind in kinds(database):
        of_kind = [injection for injection in injections if isinstance(injection.fault, kind)]
        of_kind = [injection for injection in of_kind if injection.fault.name == kind.name]
        recovered = [injection for injection in of_kind if injection.took is not None]
        took = [injection.took for injection in recovered if injection.alone]
        together = [injection.took for injection in recovered if not injection.alone]
        overlaps = [o.seconds for o in verdict.overlaps if o.injection.fault.name == kind.name]
        found.append(
            {
                "fault": kind.name,
                "injected": len(of_kind),
                "lost": verdict.count(LOST, kind.name),
                "doubled": verdict.count(DOUBLED, kind.name),
                "stuck": verdict.count(STUCK, kind.name) + len(of_kind) - len(recovered),
                "recovery p50": median(took) if took else None,
                "max": max(took, default=None),
                "max, with others": max(together, default=None),
                "overlap max": max(overlaps, default=None),
            }
        )
    return found


def table(found: list[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    lines += ["| " + " | ".join(_shown(row[column]) for column in COLUMNS) + " |" for row in found]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.1f} s" if isinstance(value, float) else str(value)
