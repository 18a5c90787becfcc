"""The slow, obvious model: scan all candidates in order, admit the first that fits, begin again.

It keeps no lines and no counts: what is in use, what is asked and what is refused is computed from the states of
all runs and ops each time somebody asks.
"""

from __future__ import annotations

from tests.conformance.candidates import HOLDS, Candidate, Op, Run, place
from tests.conformance.lives import Lives
from tests.conformance.story import Seen

POOL_CHECK = "pools of its ops"  # the one gate that is no number
RESERVE_AFTER = 60  # seconds


class Model(Lives):
    """Decides by looking at everybody."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, int] = {}  # slots reserved, by gate
        self.kept_for: Candidate | None = None
        self.places: dict[str, tuple[int, int, int]] = {}  # of those who hold, when they were admitted

    def admit(self, candidate: Candidate) -> None:
        self.places[candidate.name] = place(candidate)
        self._drop(candidate)
        super().admit(candidate)

    def decide(self) -> None:
        while True:
            fitting = (candidate for candidate in self.line() if not self.refused_by(candidate))
            first = next(fitting, None)
            if first is None:
                return
            self.admit(first)

    def seen(self) -> Seen:
        waiting = {candidate.name: frozenset(self.refused_by(candidate)) for candidate in self.line()}
        return Seen(self.states(), waiting, self.in_use())

    def place(self, name: str, gate: str) -> int:
        """The place of a candidate in the line of a gate: among those whom it has no room for."""
        return [candidate.name for candidate in self.line() if gate in self.refused_by(candidate)].index(name) + 1

    def line(self) -> list[Candidate]:
        """Everybody who waits, in order."""
        everybody = (*self.runs.values(), *self.ops.values())
        return sorted((c for c in everybody if c.state in ("queued", "ready")), key=place)

    # --- gates ----------------------------------------------------------------------------------------

    def needs(self, candidate: Candidate) -> dict[str, int]:
        """The slots that it needs or holds, by gate, in the order of the gates."""
        return self._needs_of_run(candidate) if isinstance(candidate, Run) else self._needs_of_op(candidate)

    def _needs_of_run(self, run: Run) -> dict[str, int]:
        headings = [rule.heading(run.tags) for rule in self.rules]
        waiting = {pool: slots for pool, slots in run.pools.items() if self.granularity(pool) == "run"}
        pools = run.held if run.started else waiting
        return {
            "runs": 1,
            **{f"rule {heading}": 1 for heading in headings if heading is not None},
            **{f"pool {pool}": slots for pool, slots in pools.items()},
        }

    def _needs_of_op(self, op: Op) -> dict[str, int]:
        pools = {f"pool {pool}": slots for pool, slots in op.text.pools.items() if pool not in op.run.held}
        return {**dict.fromkeys(self._private(op), 1), **pools, f"queue {op.text.queue}": 1}

    def _private(self, op: Op) -> dict[str, int]:
        """The gates of the op's own run that count it, with their limits."""
        job, found = op.run.job, {}
        if job.executor:
            found[f"{op.run.name} executor"] = job.executor
        for rule, limit in job.tag_limits:
            heading = rule.heading(op.text.tags)
            if heading is not None:
                found[f"{op.run.name} tag {heading}"] = limit
        return found

    def limit(self, gate: str, candidate: Candidate) -> int | None:
        kind, _, label = gate.partition(" ")
        if kind == "runs":
            return self.maximum
        if kind == "rule":
            return next(limit for rule, limit in self.rules.items() if rule.heading(candidate.tags) == label)
        if kind == "pool":
            return self.limit_of(label)
        if kind == "queue":
            return self.alive.get(label, 0)
        return self._private(candidate)[gate]

    def in_use(self) -> dict[str, int]:
        """The slots of each gate at which any are in use."""
        found: dict[str, int] = {}
        for holder in (*self.runs.values(), *self.ops.values()):
            if holder.state in HOLDS:
                for gate, slots in self.needs(holder).items():
                    found[gate] = found.get(gate, 0) + slots
        return found

    def refused_by(self, candidate: Candidate) -> list[str]:
        """The gates without room for this candidate; none: it may start."""
        use = self.in_use()
        found = []
        for gate, slots in self.needs(candidate).items():
            limit = self.limit(gate, candidate)
            is_paused = gate.startswith("pool ") and gate.removeprefix("pool ") in self.paused
            kept = self.kept.get(gate, 0) if self._binds(candidate) else 0
            if is_paused or (limit is not None and use.get(gate, 0) + slots + kept > limit):
                found.append(gate)
        if isinstance(candidate, Run) and self.checks_pools and not self._has_a_prospect(candidate, use):
            found.append(POOL_CHECK)
        return found

    def would_deadlock(self, pool: str | None, granularity: str | None) -> bool:
        """Whether after this switch runs could wait for each other for ever: a run in progress holds one pool, now
        by op, from its start to its end and needs another, now by run, op by op; a new run may do the opposite."""
        after = Model()
        after.default_granularity, after.granularities = self.default_granularity, dict(self.granularities)
        after.set_granularity(pool, granularity)
        for run in self.runs.values():
            by_op = any(after.granularity(pool) == "op" for pool in run.held)
            by_run = any(after.granularity(pool) == "run" for pool in run.pools if pool not in run.held)
            if run.state in HOLDS and by_op and by_run:
                return True
        return False

    # --- pools at the queue ---------------------------------------------------------------------------

    def _has_a_prospect(self, run: Run, use: dict[str, int]) -> bool:
        """Whether any root op could start, as far as pools of granularity op go."""
        asked = self._asked(use)
        for root in (op for op in run.ops if not op.text.after):
            own = [pool for pool in root.text.pools if self.granularity(pool) == "op"]
            if all(self._is_open(pool, use, asked) for pool in own):
                return True
        return False

    def _is_open(self, pool: str, use: dict[str, int], asked: dict[str, int]) -> bool:
        if pool in self.paused:
            return False
        limit = self.limit_of(pool)
        return limit is None or limit - use.get(f"pool {pool}", 0) - asked.get(pool, 0) + self.buffer > 0

    def _asked(self, use: dict[str, int]) -> dict[str, int]:
        """The slots of each pool that ready ops wait for whose own run's gates have room."""
        found: dict[str, int] = {}
        for op in self.ops.values():
            has_room = all(use.get(gate, 0) < limit for gate, limit in self._private(op).items())
            if op.state == "ready" and has_room:
                for pool, slots in op.text.pools.items():
                    if pool not in op.run.held:
                        found[pool] = found.get(pool, 0) + slots
        return found

    # --- reservations ---------------------------------------------------------------------------------

    def leaves(self, candidate: Candidate) -> None:
        self._drop(candidate)

    def takes_another_place(self, candidate: Candidate) -> None:
        self._drop(candidate)

    def reserves(self) -> None:
        """One reservation at a time: it stays while it can be used, else the first who was overtaken gets it."""
        if self.kept_for is not None and not self._can_reserve(self.kept_for):
            self._drop(self.kept_for)
        for candidate in self.line() if self.kept_for is None else ():
            waited = self.clock - candidate.asked >= RESERVE_AFTER
            if waited and self._can_reserve(candidate) and self._was_overtaken(candidate):
                self.kept_for = candidate
                self.kept = {g: slots for g, slots in self.needs(candidate).items() if self._is_shared(g)}
                return

    def _drop(self, candidate: Candidate) -> None:
        if self.kept_for is candidate:
            self.kept_for, self.kept = None, {}

    def _binds(self, candidate: Candidate) -> bool:
        """A reservation binds others of equal or lower priority; that of a run binds no ops."""
        owner = self.kept_for
        if owner is None or owner is candidate or candidate.priority > owner.priority:
            return False
        return isinstance(owner, Op) or isinstance(candidate, Run)

    def _is_shared(self, gate: str) -> bool:
        return gate == "runs" or gate.partition(" ")[0] in ("rule", "pool")

    def _holders(self, gate: str) -> list[Candidate]:
        everybody = (*self.runs.values(), *self.ops.values())
        return [holder for holder in everybody if holder.state in HOLDS and gate in self.needs(holder)]

    def _was_overtaken(self, candidate: Candidate) -> bool:
        """Whether every gate that blocks it, workers aside, has a holder who came behind it in line."""
        use = self.in_use()
        blocked = []
        for gate, slots in self.needs(candidate).items():
            limit = self.limit(gate, candidate)
            is_full = limit is not None and use.get(gate, 0) + slots > limit
            if not gate.startswith("queue ") and is_full:
                blocked.append(gate)
        behind = place(candidate)
        return bool(blocked) and all(
            any(self.places[holder.name] > behind for holder in self._holders(gate)) for gate in blocked
        )

    def _can_reserve(self, candidate: Candidate) -> bool:
        """Whether it would start if its gates emptied, and no run that holds one of its pools could wait for it."""
        for gate, slots in self.needs(candidate).items():
            limit = self.limit(gate, candidate)
            if gate.removeprefix("pool ") in self.paused or (limit is not None and limit < slots):
                return False
            held_by_run = any(isinstance(holder, Run) for holder in self._holders(gate))
            if isinstance(candidate, Op) and gate.startswith("pool ") and held_by_run:
                return False
        is_run = isinstance(candidate, Run)
        return not (is_run and self.checks_pools and not self._has_a_prospect(candidate, self.in_use()))
