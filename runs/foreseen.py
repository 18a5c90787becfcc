"""Which limits a run would meet if it were launched now, and how they stand: reads only.

What it needs is said by `admission`, as at a launch; whether there is room, by the comparisons of the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pools import explain
from pools import queries as pool_queries
from pools.explain import Newcomer
from pools.reasons import Check, Explanation
from pools.rules import Need
from runs import admission, in_force
from runs.admission import Granularity
from runs.graph import Plan
from runs.transitions import op_holder, run_holder


@dataclass(frozen=True)
class Met:
    """A limit that a run, or some ops of it, will meet, and how many it has no room for now."""

    check: Check
    line: int
    ops: Sequence[str] = ()


@dataclass
class _Wanted:
    need: Need
    ops: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Foreseen:
    """All limits that a run will meet: before it starts, and its ops. `run`: as of a run that waits already."""

    run: Explanation
    before: Sequence[Met]
    within: Sequence[Met]

    @property
    def starts_at_once(self) -> bool:
        return not self.run.blocking and not self.run.without_prospect

    @property
    def stuck(self) -> list[Met]:
        """Those at which it would not go on by itself, however long it waits: closed, paused, or too small."""
        return [met for met in (*self.before, *self.within) if _needs_somebody(met.check)]


def limits(tags: Mapping[str, str], plan: Plan) -> Foreseen:
    """What will limit a run with these tags. A few queries, however many ops it has."""
    rules = in_force.rules()
    of_run = admission.queue_needs(tags, rules)
    of_ops = _needs_of_ops(plan)
    picture = pool_queries.picture(need.gate.key for need in (*of_run, *(entry.need for entry in of_ops.values())))
    own = {gate.pool.name: gate.pool.granularity for gate in picture.of("pool") if gate.pool.granularity}
    wanted = admission.run_needs(tags, plan, rules, Granularity(picture.granularity, own))
    for need in wanted.needs:
        of_ops.pop(need.gate.key, None)  # the run holds it for them
    priority = admission.run_priority(tags)
    run = Newcomer(run_holder(0), priority, wanted.needs, wanted.prospects)
    ops = Newcomer(op_holder(0), priority, [entry.need for entry in of_ops.values()])
    before, within = explain.newcomers([run, ops], picture)
    lines = {gate.pk: gate.line for gate in picture.gates.values()}  # type: ignore[attr-defined]
    return Foreseen(
        before,
        [Met(check, lines.get(check.gate.id, 0)) for check in before.checks],
        [Met(check, lines.get(check.gate.id, 0), of_ops[check.gate.key].ops) for check in within.checks],
    )


def _needs_somebody(check: Check) -> bool:
    return check.never_fits or check.gate.paused or check.gate.limit == 0


def _needs_of_ops(plan: Plan) -> dict[str, _Wanted]:
    """What the ops of a run need, by the key of the gate: the most that one of them does, and which do."""
    found: dict[str, _Wanted] = {}
    for op in plan.ops:
        for need in admission.op_needs(0, plan, op):
            entry = found.setdefault(need.gate.key, _Wanted(need))
            entry.ops.append(op.key)
            if need.slots > entry.need.slots:
                entry.need = need
    return found
