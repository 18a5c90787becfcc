"""Looks at how the deployment stands, once a pass of the clock, and keeps a sample every ten seconds for the charts.

Nothing is written while an op starts, runs or ends. What is in use is looked at in each pass, and the most of ten looks
is kept; lines are counted once a sample, no further than needed; what was waited stands in rows that exist already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from pools import claims, queries, samples
from pools.samples import FINEST, Level
from runs import deployment, tickets

RUNS = "runs"  # in progress, their maximum, those queued
OPS = "ops"  # busy workers, the living ones, ops that wait
SLOTS = "slots"  # of all pools together
POOL = "pool:"  # of one

KINDS = {"runs": RUNS, "workers": OPS}  # where waits for other gates than pools are counted
TOPIC = "samples"  # announced when one was written
COUNT_TO = 10_000  # lines are counted up to here

Use = dict[str, tuple[int, int | None]]  # in use and limit, by subject


class Sampler:
    """Remembers the most that was in use since the last sample. Several in a deployment do no harm: one writes."""

    def __init__(self) -> None:
        self._begun: int | None = None  # the step that is being looked at
        self._most: Use = {}

    def look(self, enough: Callable[[], bool] = lambda: False) -> bool:
        """Look at what is in use; once a step is over, write its sample and roll up. Returns whether it wrote one."""
        step = int(claims.clock_time().timestamp()) // FINEST * FINEST
        found = _use()
        if self._begun in (None, step):
            self._begun, self._most = step, _most(self._most, found)
            return False
        over, self._begun = self._begun, step
        levels = _levels(_most(self._most, found))
        self._most = found
        wrote = over is not None and samples.record(over, levels, KINDS)
        if wrote:
            tickets.announce({TOPIC})
        samples.roll_up(enough)
        return wrote


def levels() -> dict[str, Level]:
    """How everything that is sampled stands now."""
    return _levels(_use())


def prune(enough: Callable[[], bool] = lambda: False) -> int:
    """Remove samples that are old enough by the settings. Returns how many."""
    keep = dict(zip(samples.STEPS, (settings.KEEP_SAMPLES, settings.KEEP_MINUTES, settings.KEEP_HOURS), strict=True))
    return samples.prune(int(claims.clock_time().timestamp()), keep, enough)


def _use() -> Use:
    """What is in use now. One query, of a few narrow rows."""
    rows = queries.use("pool", "runs", "workers")
    use: Use = {f"{POOL}{label}": (in_use, limit) for kind, label, in_use, limit in rows if kind == "pool"}
    for subject, kind in ((SLOTS, "pool"), (OPS, "workers"), (RUNS, "runs")):
        of_kind = [(in_use, limit) for found, _, in_use, limit in rows if found == kind]
        limits = [limit for _, limit in of_kind if limit is not None]
        use[subject] = (sum(in_use for in_use, _ in of_kind), sum(limits) if limits else None)
    return use


def _most(before: Mapping[str, tuple[int, Any]], now: Use) -> Use:
    """The most that was in use, with the limits of now. A pool that is gone is not sampled any more."""
    return {
        subject: (max(in_use, before.get(subject, (0, None))[0]), limit) for subject, (in_use, limit) in now.items()
    }


def _levels(most: Use) -> dict[str, Level]:
    at, pools = deployment.now(COUNT_TO), queries.gates("pool", most=COUNT_TO)
    lines = {f"{POOL}{gate.label}": gate.line for gate in pools}  # type: ignore[attr-defined]
    waiting = lines | {RUNS: at.queued, OPS: at.waiting, SLOTS: sum(lines.values())}
    return {subject: Level(in_use, limit, waiting.get(subject, 0)) for subject, (in_use, limit) in most.items()}
