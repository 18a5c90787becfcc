"""What must be true after chaos, and was not: of the tables, of the ledger, and of what the ops said themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pools.models import Gate, Hold, Waiter
from runs import plans, states
from runs.audit import looking
from runs.models import Op, Run, RunTag
from tests import invariants
from tests.chaos import jobs, ledger, trace
from tests.chaos.load import NUMBER, Load
from tests.chaos.storm import Injection
from tests.edits import Limit, broken

LOST, DOUBLED, STUCK, EXCEEDED, WRONG = "lost", "doubled", "stuck", "exceeded", "wrong"
CLOSE = 0.005  # seconds by which two clocks, or two roundings, may differ
OVERLAP = 4.0  # seconds that a process may go on after a pause, until it is stopped


@dataclass(frozen=True)
class Violation:
    kind: str
    text: str
    at: float | None = None  # when it began, if that is known


@dataclass(frozen=True)
class Overlap:
    """That a process was at work when its slots were not its own any more."""

    injection: Injection
    seconds: float


class Verdict:
    """Everything that is checked once all is calm."""

    def __init__(self, load: Load, injections: list[Injection], said: list[trace.Worked]) -> None:
        self.load, self.injections, self.said = load, injections, said
        self.overlaps: list[Overlap] = []
        self.violations = [
            *self._launches(), *self._runs(), *self._ops(), *self._leftovers(), *self._engine(), *self._limits(),
            *self._own_words(),
        ]  # fmt: skip

    # --- the tables -------------------------------------------------------------------------------------

    def _launches(self) -> Iterator[Violation]:
        found = Counter(int(value) for value in RunTag.objects.filter(key=NUMBER).values_list("value", flat=True))
        for number, at in self.load.launched.items():
            if found[number] != 1:
                yield Violation(DOUBLED if found[number] else LOST, f"launch {number}: {found[number]} runs", at)

    def _runs(self) -> Iterator[Violation]:
        for run in Run.objects.exclude(state__in=states.RUN_TERMINAL):
            ops = list(Op.objects.filter(run=run).values_list("key", "state", "attempt", "error"))
            yield Violation(STUCK, f"{run} is {run.state}: {ops}")
        ends = ledger.ends("run", states.RUN_TERMINAL)
        for run_id, at, move in ends.left:
            yield Violation(DOUBLED, f"run {run_id} left its end: {move}", at)

    def _ops(self) -> Iterator[Violation]:
        """Each op of a run that is over came to its end once, and stayed there."""
        ends = ledger.ends("op", states.OP_TERMINAL)
        for op_id, at, move in ends.left:
            yield Violation(DOUBLED, f"op {op_id} left its end: {move}", at)
        for op_id, run_id, state in Op.objects.values_list("id", "run_id", "state"):
            if len(ends.count[op_id]) > 1:
                yield Violation(DOUBLED, f"op {op_id} ended {len(ends.count[op_id])} times", ends.count[op_id][-1])
            elif not ends.count[op_id] and state in states.OP_TERMINAL:
                yield Violation(WRONG, f"op {op_id} of run {run_id} is {state}, and nobody saw its end")

    def _leftovers(self) -> Iterator[Violation]:
        for gate in Gate.objects.exclude(in_use=0):
            yield Violation(STUCK, f"gate {gate} has {gate.in_use} in use")
        for hold in Hold.objects.all():
            yield Violation(STUCK, f"{hold.holder} holds {hold.slots} of gate {hold.gate_id}")
        for waiter in Waiter.objects.all():
            yield Violation(STUCK, f"{waiter.holder} waits")

    def _engine(self) -> Iterator[Violation]:
        try:
            invariants.check_engine()
        except AssertionError as error:
            yield Violation(WRONG, f"the engine: {error}")
        for finding in looking.audit().findings:
            yield Violation(WRONG, f"the audit: {finding.kind}: {finding.text}")

    # --- the ledger -------------------------------------------------------------------------------------

    def _limits(self) -> Iterator[Violation]:
        """No gate's use rose over its limit; and by our own account of the limits, whoever was let in fitted."""
        for at, gate, in_use, most in ledger.exceeded():
            yield Violation(EXCEEDED, f"gate {gate}: {in_use} of {most}", at)
        rule = Gate.objects.filter(kind="run_tag").values_list("id", flat=True)
        names = dict.fromkeys(rule, "each team") | dict(
            Gate.objects.filter(key__in=self.load.limits).values_list("id", "key")
        )
        spans: dict[int, list[tuple[datetime, datetime, int]]] = defaultdict(list)
        for held in ledger.holds():
            if held.gate in names:
                until = min(held.until, datetime.max.replace(tzinfo=UTC).timestamp() - 86400)
                spans[held.gate].append((_moment(held.since), _moment(until), held.slots))
        for gate_id, of_gate in spans.items():
            for text in broken(of_gate, _loosely(self.load.limits[names[gate_id]])):
                yield Violation(EXCEEDED, f"{names[gate_id]}: {text}")

    # --- their own words --------------------------------------------------------------------------------

    def _own_words(self) -> Iterator[Violation]:
        """Whoever was at work had its slots, but for a pause; and the limits held by what the ops said alone."""
        slots_until = _slots_until()
        starts = {(start.op, start.pid): start for start in ledger.starts()}
        ops = {(op.run.uid, op.key): op for op in Op.objects.select_related("run")}
        at_work: dict[tuple[str, object], list[tuple[float, float, int]]] = defaultdict(list)
        for worked in self.said:
            op = ops.get((worked.run, worked.op))
            start = starts.get((op.pk, worked.pid)) if op else None
            if op is None or start is None or worked.moments[0] < start.at - CLOSE:
                yield Violation(DOUBLED, f"{worked.op} of {worked.run} was at work unasked", worked.moments[0])
                continue
            until = slots_until[start.op, start.token]
            if worked.moments[-1] > until + CLOSE:
                yield from self._late(worked, until)
            weights = plans.load(op.run.plan_id).by_key[op.key].pools
            for since, to in worked.stretches(until):
                at_work["op", op.pk].append((since, to, 1))
                at_work["run", op.run].append((since, to, 1))
                at_work["pool", "fixed"].append((since, to, weights.get("fixed", 0)))
        for (kind, what), stretches in at_work.items():
            most = {"op": 1, "pool": jobs.FIXED}.get(kind) or jobs.MOST_WITHIN.get(getattr(what, "job", ""))
            if most is not None:
                for text in broken(stretches, lambda _, most=most: most):
                    yield Violation(DOUBLED if kind == "op" else EXCEEDED, f"{kind} {what}, in their own words: {text}")

    def _late(self, worked: trace.Worked, until: float) -> Iterator[Violation]:
        """It went on when its slots were not its own any more: for a moment, after a pause, or not at all."""
        last = worked.moments[-1]
        for injection in self.injections:
            if worked.pid in injection.fault.paused and injection.at < last:
                overlap = last - max(until, injection.undone_at)
                self.overlaps.append(Overlap(injection, overlap))
                if overlap <= OVERLAP:
                    return
        yield Violation(DOUBLED, f"{worked.op} of {worked.run} went on for {last - until:.2f} s without slots", until)

    # --- what for ---------------------------------------------------------------------------------------

    def count(self, kind: str, name: str) -> int:
        """How many violations of this kind began while a fault of this name was the last to have happened."""
        return sum(name in self._blamed(violation) for violation in self.violations if violation.kind == kind)

    def _blamed(self, violation: Violation) -> set[str]:
        before = [i for i in self.injections if violation.at is not None and i.at <= violation.at]
        return {i.fault.name for i in before if i.burst == before[-1].burst}


def _slots_until() -> dict[tuple[int, int], float]:
    """Until when an op had its slots under a token."""
    found: dict[tuple[int, int], float] = {}
    for held in ledger.holds():
        kind, _, number = held.holder.partition(":")
        if kind == "op":
            key = int(number), held.token
            found[key] = min(held.until, found.get(key, float("inf")))
    return found


def _loosely(limit: Limit) -> Callable[[datetime], int]:
    """The limit at a moment that was written down as a moment earlier."""
    return lambda moment: max(limit.at(moment), limit.at(moment + timedelta(seconds=CLOSE)))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def kinds_of(violations: Iterable[Violation]) -> Counter[str]:
    return Counter(violation.kind for violation in violations)
