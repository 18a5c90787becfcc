"""Why a run or an op waits: every limit that applies, who holds it, who is ahead, and what the wait was spent on.

The comparisons are those of the decision (`pools.reasons`); this adds the names behind the holders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pools import explain, waits
from pools import queries as pool_queries
from pools.explain import Waiting
from pools.models import Hold, Waiter
from pools.rules import PRIVATE_KINDS, Gate, name_of
from pools.waits import Limit
from runs import queries
from runs.models import Op, Run
from runs.transitions import op_holder, run_holder

Named = Op | Run | None


@dataclass(frozen=True)
class Waited:
    """Seconds spent waiting for one limit."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Why:
    """Why a candidate waits.

    `line` is the first gate without room, at which it is `place`-th (1001: beyond 1 000; None: it stands in no
    line, its own run or its prospects hold it back). `holders` and `ahead` carry the op or run behind each name.
    """

    waiting: Waiting
    line: Gate | None
    place: int | None
    ahead: Sequence[tuple[Waiter, Named]]
    holders: Mapping[int, Sequence[tuple[Hold, Named]]]
    waited: Sequence[Waited]

    @property
    def place_shown(self) -> str:
        """The place in words: "1st", "1 000+"; empty without one."""
        if self.place is None:
            return ""
        if self.place > pool_queries.COUNT_TO:
            return "beyond the 1 000th"
        last_two = self.place % 100
        ending = "th" if 10 < last_two < 14 else {1: "st", 2: "nd", 3: "rd"}.get(self.place % 10, "th")
        return f"{self.place}{ending}"


def of_run(run: Run) -> Why | None:
    """Why a run is still in the queue; None: it is not."""
    return _why(run_holder(run.pk))


def of_op(op: Op) -> Why | None:
    """Why an op waits for slots; None: it does not."""
    return _why(op_holder(op.pk))


def waited_before(subject: Run | Op) -> list[Waited]:
    """What a run had waited for before it started, or an op before its last start, longest first."""
    holder = run_holder(subject.pk) if isinstance(subject, Run) else op_holder(subject.pk)
    token = subject.token if isinstance(subject, Op) else None
    return [Waited(name_of(wait.kind, wait.label), wait.seconds) for wait in waits.last(holder, token)]


def _why(holder: str) -> Why | None:
    waiting = explain.waiting([holder]).get(holder)
    if waiting is None:
        return None
    blocking = [check.gate for check in waiting.explanation.blocking]
    taken = [entry.gate for entry in waiting.explanation.taken]
    line = next((gate for gate in blocking if gate.kind not in PRIVATE_KINDS), None)
    standing = explain.standing(waiting, line.id) if line else None
    ahead = standing.ahead if standing else []
    held = pool_queries.holders_of(gate.id for gate in (*blocking, *taken))
    names = queries.named([*(waiter.holder for waiter in ahead), *(hold.holder for at in held.values() for hold in at)])
    return Why(
        waiting,
        line,
        standing.place if standing else None,
        [(waiter, names.get(waiter.holder)) for waiter in ahead],
        {gate_id: [(hold, names.get(hold.holder)) for hold in holds] for gate_id, holds in held.items()},
        _longest_first(waiting.spent.seconds),
    )


def _longest_first(seconds: Mapping[Limit, float]) -> list[Waited]:
    return [Waited(name_of(*limit), spent) for limit, spent in sorted(seconds.items(), key=lambda entry: -entry[1])]
