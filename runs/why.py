"""Why a run or an op waits: every limit that applies, who holds it, who is ahead, and what the wait was spent on.

The comparisons are those of the decision (`pools.reasons`); this adds the names behind the holders. What would start
it sooner takes longer to work out, and is asked for apart: `runs.sooner`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.db.models.expressions import RawSQL

from pools import explain, waits
from pools import queries as pool_queries
from pools.audit.books import Finding
from pools.explain import Standing, Waiting
from pools.models import Hold, Waiter
from pools.queries import Also
from pools.rules import PRIVATE_KINDS, Candidate, Gate, name_of
from pools.waits import Limit
from runs import queries, states
from runs.audit import record
from runs.models import Op, Run
from runs.transitions import op_holder, run_holder

Named = Op | Run | None
MOST_SIBLINGS = 200  # waiting ops of a run of which it is worked out what another priority would do


@dataclass(frozen=True)
class Waited:
    """Seconds spent waiting for one limit."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Why:
    """Why a candidate waits.

    `line` is the first gate without room, at which it is `place`-th (1001: beyond 1 000; None: it stands in no
    line, its own run or its prospects hold it back). `holders` and `ahead` carry the op or run behind each name, of
    `names`; of those that are `stuck` nobody is alive. `siblings` are all that wait of its run, whose priority is
    `run_priority`; None and empty: too many wait.
    """

    waiting: Waiting
    line: Gate | None
    place: int | None
    ahead: Sequence[tuple[Waiter, Named]]
    holders: Mapping[int, Sequence[tuple[Hold, Named]]]
    waited: Sequence[Waited]
    standing: Standing | None = None
    names: Mapping[str, Op | Run] = field(default_factory=dict)
    stuck: Mapping[str, Finding] = field(default_factory=dict)
    run_priority: int | None = None
    siblings: Sequence[Candidate] = ()

    @property
    def place_shown(self) -> str:
        """The place in words: "1st", "1 000+"; empty without one."""
        return "" if self.place is None else ordinal(self.place)

    @property
    def is_held_up(self) -> bool:
        """Whether a limit has no room for it: else it starts next, and nothing would start it sooner."""
        told = self.waiting.explanation
        return bool(told.blocking or told.taken)

    @property
    def mark(self) -> str:
        """Another one when of what is told here something has changed on which depends what would start it sooner."""
        ahead = [(waiter.holder, waiter.priority) for waiter, _ in self.ahead]
        held = sorted((gate_id, [hold.holder for hold, _ in holds]) for gate_id, holds in self.holders.items())
        kin = sorted((one.holder, one.priority) for one in self.siblings)
        place = (self.waiting.explanation, self.waiting.priority, self.run_priority, self.place)
        return sha256(repr((place, ahead, held, sorted(self.stuck), kin)).encode()).hexdigest()[:16]


def ordinal(place: int) -> str:
    """A place in words: "1st", "beyond the 1 000th"."""
    if place > pool_queries.COUNT_TO:
        return "beyond the 1 000th"
    ending = "th" if 10 < place % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def of_run(run: Run, known: Waiting | None = None) -> Why | None:
    """Why a run is still in the queue; None: it is not. `known`: that it waits, if that is known already."""
    holder = run_holder(run.pk)
    return _why(holder, run, {holder: known} if known else explain.waiting([holder]))


def of_op(op: Op, siblings: Mapping[str, Waiting] | None = None) -> Why | None:
    """Why an op, read with its run, waits for slots; None: it does not.

    `siblings`: all that wait of its run, if that is known already.
    """
    if siblings is None:
        siblings, _ = waiting_beside(op)
    return _why(op_holder(op.pk), op.run, siblings)


def waiting_beside(op: Op, also: Also | None = None) -> tuple[Mapping[str, Waiting], Mapping[str, Any]]:
    """All that wait of an op's run if it waits, else none. With `also`, what else was read by the same queries."""
    if op.state != states.READY:
        return {}, {}
    ready = f"SELECT 'op:' || id AS holder FROM runs_op WHERE run_id = %s AND state = '{states.READY}' LIMIT %s"
    found, picture = explain.waiting_beside(op_holder(op.pk), RawSQL(ready, [op.run_id, MOST_SIBLINGS + 2]), also)
    return found, picture.also


def waited_before(subject: Run | Op) -> list[Waited]:
    """What a run had waited for before it started, or an op before its last start, longest first."""
    holder = run_holder(subject.pk) if isinstance(subject, Run) else op_holder(subject.pk)
    token = subject.token if isinstance(subject, Op) else None
    return [Waited(name_of(wait.kind, wait.label), wait.seconds) for wait in waits.last(holder, token)]


def _why(holder: str, run: Run, siblings: Mapping[str, Waiting]) -> Why | None:
    waiting = siblings.get(holder)
    if waiting is None:
        return None
    blocking = [check.gate for check in waiting.explanation.blocking]
    taken = [entry.gate for entry in waiting.explanation.taken]
    line = next((gate for gate in blocking if gate.kind not in PRIVATE_KINDS), None)
    standing = explain.standing(waiting, line) if line else None
    ahead = standing.ahead if standing else []
    held = pool_queries.holders_of(gate.id for gate in (*blocking, *taken))
    holds = [hold for at in held.values() for hold in at]
    names = queries.named([*(waiter.holder for waiter in ahead), *(hold.holder for hold in holds)])
    few = len(siblings) <= MOST_SIBLINGS
    return Why(
        waiting,
        line,
        standing.place if standing else None,
        [(waiter, names.get(waiter.holder)) for waiter in ahead],
        {gate_id: [(hold, names.get(hold.holder)) for hold in holds] for gate_id, holds in held.items()},
        _longest_first(waiting.spent.seconds),
        standing,
        names,
        {found.subject: found for found in record.stuck_among(holds, names).values()},
        run.priority if few else None,
        [one.candidate for one in siblings.values()] if few else [],
    )


def _longest_first(seconds: Mapping[Limit, float]) -> list[Waited]:
    return [Waited(name_of(*limit), spent) for limit, spent in sorted(seconds.items(), key=lambda entry: -entry[1])]
