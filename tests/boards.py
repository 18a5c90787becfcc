"""A board in memory for `rules.settle`: the plainest thing that keeps what `rules.Board` promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pools import rules
from pools.rules import PRIVATE_KINDS, Candidate, Gate, Lane, Needs

START = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryBoard:
    """Gates by name; the name up to the first "_" or ":" is the kind if it is one, else it is a pool.

    `looks_left` bounds the heads that it shows; then it is tired, until the next decision.
    """

    def __init__(self, limits: Mapping[str, int | None]) -> None:
        self.limits = dict(limits)
        self.paused: set[str] = set()
        self.in_use = dict.fromkeys(limits, 0)
        self.lanes: dict[Needs, Lane] = {}
        self.waiting: dict[str, Candidate] = {}
        self.held_back: dict[str, str] = {}
        self.holding: dict[str, Needs] = {}
        self.admitted: list[str] = []
        self.looked_at: list[int] = []
        self.looks_left = 10**6
        self.tired = False
        self._names = list(limits)
        self._touched: set[str] = set()
        self._awake: set[int] = set()
        self._dirty: set[int] = set()
        self._ids = 0

    # --- events -----------------------------------------------------------------------------------

    def ask(self, holder: str, priority: int, since: float, **needs: int) -> None:
        gates = [(self.gate(self._names.index(name)), slots) for name, slots in needs.items()]
        shared = rules.in_order(need for need in gates if need[0].kind not in PRIVATE_KINDS)
        private = rules.in_order(need for need in gates if need[0].kind in PRIVATE_KINDS)
        lane = self.lanes.setdefault(shared, Lane(len(self.lanes), shared))
        self._ids += 1
        moment = START + timedelta(seconds=since)
        self.waiting[holder] = Candidate(self._ids, holder, lane.id, priority, moment, self._ids, private)
        self._awake.add(lane.id)

    def release(self, holder: str) -> None:
        for gate_id, slots in self.holding.pop(holder):
            self.in_use[self._names[gate_id]] -= slots
            self._touched.add(self._names[gate_id])

    def withdraw(self, holder: str) -> None:
        candidate = self.waiting.pop(holder)
        if self.held_back.pop(holder, None) is None:
            self._awake.add(candidate.lane)
            rules.left_the_line(self, candidate)

    def touch(self, name: str) -> None:
        self._touched.add(name)

    # --- rules.Board --------------------------------------------------------------------------------

    def gate(self, gate_id: int) -> Gate:
        name = self._names[gate_id]
        kind = name.partition("_")[0]
        return Gate(
            gate_id,
            kind if kind in rules.KINDS else "pool",
            name,
            name,
            self.limits[name],
            self.in_use[name],
            name in self.paused,
            name in self.held_back.values(),
        )

    def looks(self) -> Sequence[tuple[Lane, Candidate | None]]:
        for name in sorted(self._touched):
            gate = self.gate(self._names.index(name))
            if gate.kind in PRIVATE_KINDS and not gate.full:
                for lane in list(self.lanes.values()):
                    self.bring_back(gate, lane.id)
        wanted = self._awake | self._dirty
        wanted |= {lane.id for lane in self.lanes.values() if self._is_parked_on(lane, self._touched)}
        self._awake, self._touched, self._dirty = set(), set(), set()
        if wanted and self.looks_left <= 0:
            self.tired, self._dirty = True, wanted
            return []
        found = [(lane, self._head(lane.id)) for lane in self.lanes.values() if lane.id in wanted]
        found.sort(key=lambda look: (0, look[1].place) if look[1] else (1, (0, START, 0, 0)))
        self._dirty.update(lane.id for lane, _ in found[self.looks_left :])  # those come after those looked at
        found = found[: self.looks_left]
        self.looks_left -= len(found)
        self.looked_at += [lane.id for lane, _ in found]
        return found

    def look_again(self, lane: Lane) -> None:
        self._awake.add(lane.id)

    def leave(self, lanes: Sequence[Lane]) -> None:
        self._dirty.update(lane.id for lane in lanes)

    def park(self, lane: Lane, gate: Gate | None) -> None:
        lane.blocked_on = gate.id if gate else None

    def admit(self, candidate: Candidate, needs: Needs) -> None:
        del self.waiting[candidate.holder]
        self.holding[candidate.holder] = (*needs, *candidate.private)
        for gate_id, slots in self.holding[candidate.holder]:
            self.in_use[self._names[gate_id]] += slots
        self.admitted.append(candidate.holder)

    def hold_back(self, candidate: Candidate, gate: Gate) -> None:
        self.held_back[candidate.holder] = gate.key

    def bring_back(self, gate: Gate, lane_id: int) -> None:
        held = [c for c in self.waiting.values() if c.lane == lane_id and self.held_back.get(c.holder) == gate.key]
        if held:
            del self.held_back[min(held, key=lambda c: c.place).holder]
            self._awake.add(lane_id)

    def line(self, lane_id: int) -> list[Candidate]:
        """Who stands in the line of a lane, in order."""
        line = [c for c in self.waiting.values() if c.lane == lane_id and c.holder not in self.held_back]
        return sorted(line, key=lambda c: c.place)

    def _head(self, lane_id: int) -> Candidate | None:
        return next(iter(self.line(lane_id)), None)

    def _is_parked_on(self, lane: Lane, names: set[str]) -> bool:
        return lane.blocked_on is not None and self._names[lane.blocked_on] in names

    @property
    def has_more(self) -> bool:
        """Whether lanes were left to a later decision."""
        return bool(self._dirty)

    def decide(self, looks: int) -> None:
        """One decision after another, each with so many looks, until nothing is left to look at."""
        while True:
            self.tired, self.looks_left = False, looks
            rules.settle(self)
            if not self.has_more:
                return
