"""The decision alone: `rules.settle` on a board in memory, with the needs that `runs.admission` reads from plans."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pools import reasons, rules
from pools.rules import GateSpec, Need
from runs import admission
from runs.graph import Plan
from tests.boards import START, MemoryBoard
from tests.conformance import story
from tests.conformance.candidates import Candidate, Op, place
from tests.conformance.lives import Lives
from tests.conformance.model import POOL_CHECK, RESERVE_AFTER
from tests.conformance.story import Seen


class Pure(Lives):
    """Lives of runs and ops, admitted by `rules.settle`."""

    def __init__(self) -> None:
        super().__init__()
        self.board = MemoryBoard({}, admitted=self._admitted)
        self.specs: dict[str, GateSpec] = {}
        self.plans: dict[str, Plan] = {}
        self.places: dict[str, rules.Place] = {}  # of those who were admitted
        self.families: dict[story.TagRule, int] = {}  # of the rules, in the order of their births

    def decide(self) -> None:
        rules.settle(self.board)

    def _admitted(self, holder: str) -> None:
        self._drop(holder)
        candidate = self._find(holder)
        self.places[holder] = _place(candidate)
        self.admit(candidate)

    def _find(self, holder: str) -> Candidate:
        kind, _, name = holder.partition(":")
        return self.ops[name] if kind == "op" else self.runs[name]

    # --- what happens at the board --------------------------------------------------------------------

    def asks(self, candidate: Candidate) -> None:
        wanted, prospects = self._needs(candidate)
        needs = {self._open(need.gate, candidate): need.slots for need in wanted}
        groups = [[self._open(spec, candidate) for spec in group] for group in prospects]
        self.board.ask_for(
            _holder(candidate), candidate.priority, candidate.since, needs, candidate.number, prospects=groups
        )

    def leaves(self, candidate: Candidate) -> None:
        self._drop(_holder(candidate))
        self.board.withdraw(_holder(candidate))

    def gives_back(self, holder: Candidate) -> None:
        self.board.release(_holder(holder))

    def takes_another_place(self, candidate: Candidate) -> None:
        self.leaves(candidate)
        self.asks(candidate)

    def limits_changed(self) -> None:
        """Every gate gets the limit that is in force; a new rule counts who is in; who waits gets its new needs."""
        self.board.checks_prospects, self.board.buffer = self.checks_pools, self.buffer
        self.board.stir()
        for rule in self.rules:
            self.families.setdefault(rule, len(self.families))
        for run in self.runs.values():
            wanted, prospects = self._needs(run)
            needs = {self._open(need.gate, run): need.slots for need in wanted}
            groups = [[self._open(spec, run) for spec in group] for group in prospects]
            if run.state in ("started", "canceling"):
                self.board.hold_exactly(_holder(run), needs)
            elif run.state == "queued" and self.board.needs_of(_holder(run)) != (needs, groups):
                self.takes_another_place(run)
        for name, spec in self.specs.items():
            self.board.set(name, self._limit(spec), spec.kind == "pool" and spec.label in self.paused)

    # --- gates ----------------------------------------------------------------------------------------

    def _needs(self, candidate: Candidate) -> tuple[list[Need], list[list[GateSpec]]]:
        """What it needs, and its prospects."""
        run = candidate.run if isinstance(candidate, Op) else candidate
        if run.name not in self.plans:
            self.plans[run.name] = run.job.to_job().plan
        plan = self.plans[run.name]
        if isinstance(candidate, Op):
            return admission.op_needs(run.number, plan, plan.by_key[candidate.text.key], run.held), []
        in_force = [
            admission.Rule(self.families[rule], story.tag_limit(rule, limit)) for rule, limit in self.rules.items()
        ]
        granularity = admission.Granularity(self.default_granularity, self.granularities)
        if run.started:
            granularity = admission.Granularity("op", dict.fromkeys(run.held, "run"))
        wanted = admission.run_needs(run.tags, plan, in_force, granularity)
        return wanted.needs, wanted.prospects

    def _open(self, spec: GateSpec, candidate: Candidate) -> str:
        run = candidate.run.name if isinstance(candidate, Op) else ""
        name = story.gate_name(spec.kind, spec.key, spec.label, run)
        if name not in self.specs:
            self.specs[name] = spec
            self.board.open(name, spec.kind, self._limit(spec))
            self.board.set(name, self._limit(spec), spec.kind == "pool" and spec.label in self.paused)
        return name

    def _limit(self, spec: GateSpec) -> int | None:
        if spec.kind == "runs":
            return self.maximum
        if spec.kind == "pool":
            return self.limit_of(spec.label)
        if spec.kind == "workers":
            return self.alive.get(spec.label, 0)
        if spec.kind == "run_tag":
            (limit,) = [limit for rule, limit in self.rules.items() if self._counts_at(spec, rule)] or [None]
            return limit
        return spec.limit

    def _counts_at(self, spec: GateSpec, rule: story.TagRule) -> bool:
        return spec.family == admission.rule_family(self.families[rule])

    # --- reservations ---------------------------------------------------------------------------------

    def reserves(self) -> None:
        """As the clock does: one reservation at a time, for the first of those who waited so long."""
        for holder in {kept.holder for kept in self.board.reservations.values()}:
            if self._may(rules.can_reserve, holder):
                return
            self._drop(holder)
        for candidate in sorted(self.board.waiting.values(), key=lambda candidate: candidate.place):
            holder = candidate.holder
            waited = self.clock - self._find(holder).asked >= RESERVE_AFTER
            if waited and self._may(rules.can_reserve, holder) and self._may(rules.was_overtaken, holder):
                for gate_id, slots in self.board.lane(candidate).needs:
                    gate = self.board.gate(gate_id)
                    if gate.kind != rules.WORKERS:
                        kept = rules.Reservation(holder, slots, candidate.priority, holder.startswith("run:"))
                        self.board.reservations[gate.key] = kept
                return

    def _may(self, question: Callable[..., bool], holder: str) -> bool:
        candidate = self.board.waiting[holder]
        lane = self.board.lane(candidate)

        def holders(gate_id: int) -> list[tuple[rules.Place, bool]]:
            return [
                (self.places[other], other.startswith("run:") and not holder.startswith("run:"))
                for other, needs in self.board.holding.items()
                if gate_id in dict(needs)
            ]

        stands = rules.is_open(lane.prospects, self.board.has_to_spare)
        return stands and question(candidate, lane.needs, self.board.gate, holders)

    def _drop(self, holder: str) -> None:
        for name in [name for name, kept in self.board.reservations.items() if kept.holder == holder]:
            del self.board.reservations[name]
            self.board.touch(name)

    # --- what is seen ---------------------------------------------------------------------------------

    def seen(self) -> Seen:
        waiting = {self._find(holder).name: self._missing(holder) for holder in self.board.waiting}
        return Seen(self.states(), waiting, {name: slots for name, slots in self.board.in_use.items() if slots})

    def place(self, name: str, gate: str) -> int:
        line = sorted(self.board.waiting.values(), key=lambda candidate: candidate.place)
        names = [self._find(one.holder).name for one in line if gate in self._missing(one.holder)]
        return names.index(name) + 1

    def _missing(self, holder: str) -> frozenset[str]:
        candidate = self.board.waiting[holder]
        lane = self.board.lane(candidate)
        told = reasons.explain(candidate, lane.needs, self.board.gate)
        names = [check.gate.key for check in told.blocking]
        is_open = rules.is_open(lane.prospects, self.board.has_to_spare)
        return frozenset(names if is_open else [*names, POOL_CHECK])


def _holder(candidate: Candidate) -> str:
    """Its name as a holder: the decision tells runs and ops apart by their kind."""
    return f"{'op' if isinstance(candidate, Op) else 'run'}:{candidate.name}"


def _place(candidate: Candidate) -> rules.Place:
    priority, since, number = place(candidate)
    return (priority, START + timedelta(seconds=since), number, 0)
