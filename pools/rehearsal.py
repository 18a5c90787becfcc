"""What would happen: the decision itself, carried out on a copy in memory. Plain Python; nothing is written.

`claims.scene` reads the copy. It holds the first of each line that a change could move, not all who wait: where the
outcome depends on somebody who was not read, it is not known, and nothing is said about it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pools import rules
from pools.rules import PRIVATE_KINDS, Candidate, Gate, Lane, Needs, Place, Prospects


class Unknowable(Exception):
    """What would happen depends on something that was not read."""


class _Decided(Exception):
    """Whom the question is about was admitted: what comes after does not matter."""


@dataclass(frozen=True)
class Line:
    """A lane with the first in its line; `cut`: more wait behind them."""

    id: int
    needs: Needs
    prospects: Prospects
    blocked_on: int | None
    without_prospect: bool
    dirty: bool
    waiting: Sequence[Candidate]
    cut: bool


@dataclass(frozen=True)
class Waits:
    """That slots of a gate are asked by those who have the same needs at gates of their own run."""

    gate: int
    private: Needs
    slots: int


@dataclass(frozen=True)
class Scene:
    """How things stand.

    `touchable` are the gates of which all parked lanes were read. `beside` are those whom a gate of their own run
    holds back, each with the gate; of the gates `crowded` not all, or none, were read. `waits` are all, or where
    `waits_are_all` is false, some. `horizon`: lanes whose heads
    come after it were left out. `asks` tells whether a holder asks for more once it is admitted.
    """

    gates: Mapping[int, Gate]
    lines: Sequence[Line]
    touchable: frozenset[int]
    beside: Sequence[tuple[Candidate, int]] = ()
    crowded: frozenset[int] = frozenset()
    others: Mapping[str, Candidate] = field(default_factory=dict)  # who may change place, by holder
    waits: Sequence[Waits] = ()
    waits_are_all: bool = True
    checks_prospects: bool = False
    buffer: int = 0
    horizon: Place | None = None
    asks: Callable[[str], bool] = lambda holder: False


class Rehearsal:
    """A board on a scene (`rules.Board`): change something, `settle`, and see who would have been `admitted`.

    What a run asks for once it starts is not known here: where that could matter, Unknowable is raised.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._gates = {gate_id: replace(gate) for gate_id, gate in scene.gates.items()}
        self._lanes = {
            line.id: Lane(line.id, line.needs, line.blocked_on, line.prospects, line.without_prospect)
            for line in scene.lines
        }
        self._waiting = {line.id: [(one.place, one) for one in line.waiting] for line in scene.lines}
        self._edge = {line.id: line.waiting[-1].place for line in scene.lines if line.cut}  # behind it others wait
        self._asked_about = ""
        self._beside: dict[int, list[Candidate]] = {}
        for one, gate_id in scene.beside:
            self._beside.setdefault(gate_id, []).append(one)
        self._waits = {(entry.gate, entry.private): entry.slots for entry in scene.waits}
        self._touched: set[int] = set()
        self._awake = {line.id for line in scene.lines if line.dirty}
        self._stirred = False
        self._more_asks = False  # whether somebody was admitted who asks for more
        self.horizon = scene.horizon
        self.admitted: list[Candidate] = []

    # --- what is changed ------------------------------------------------------------------------------

    def resize(self, gate_id: int, limit: int | None) -> None:
        """Give a gate another limit."""
        self.gate(gate_id).limit = limit
        self._touch(gate_id)

    def resume(self, gate_id: int) -> None:
        """Let candidates in again at a gate."""
        self.gate(gate_id).paused = False
        self._touch(gate_id)

    def free(self, slots: Iterable[tuple[int, int]]) -> None:
        """Take slots back from a holder: (gate, slots) each."""
        for gate_id, number in slots:
            self.gate(gate_id).in_use -= number
            self._touch(gate_id)

    def reprioritize(self, holder: str, priority: int) -> None:
        """Give somebody who waits another priority: it stands in the line then."""
        one = self._scene.others[holder]
        if one.lane not in self._lanes:
            raise Unknowable
        line = self._waiting[one.lane]
        line[:] = [entry for entry in line if entry[1].holder != holder]
        for held in self._beside.values():
            held[:] = [entry for entry in held if entry.holder != holder]
        moved = replace(one, priority=priority)
        insort(line, (moved.place, moved))
        self._awake.add(one.lane)
        self._keeps_nothing_for(moved)
        rules.left_the_line(self, moved)

    def settle(self, holder: str = "") -> bool:
        """Decide; with a `holder`, only up to its admission. Returns whether it was admitted. Raises Unknowable."""
        self._asked_about = holder
        try:
            rules.settle(self)
        except _Decided:
            return True
        return False

    # --- what it came to ------------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        """Whether nobody was admitted who asks for more: what comes next is known, too."""
        return not self._more_asks

    def ahead(self, candidate: Candidate, gate_id: int, of: Iterable[str] | None = None) -> int:
        """How many of those read, or of these holders, stand in line at a gate before a candidate."""
        among = None if of is None else set(of)
        return sum(
            place < candidate.place and (among is None or one.holder in among)
            for lane_id, line in self._waiting.items()
            if gate_id in dict(self._lanes[lane_id].needs)
            for place, one in line
        )

    def needs_of(self, candidate: Candidate) -> Needs:
        """All that a candidate needs, at gates of its own run, too."""
        return (*self._lanes[candidate.lane].needs, *candidate.private)

    def looks_out(self, candidate: Candidate, gate_ids: Iterable[int]) -> bool:
        """Whether one of these gates is among a candidate's prospects."""
        wanted = set(gate_ids)
        return any(wanted & set(group) for group in self._lanes[candidate.lane].prospects)

    def is_looked_at(self, gate_ids: Iterable[int]) -> bool:
        """Whether anybody waits who has one of these gates among its prospects."""
        wanted = set(gate_ids)
        return any(wanted & set(group) for lane in self._lanes.values() for group in lane.prospects)

    def first_in_line(self, gate_ids: Iterable[int]) -> Candidate | None:
        """The first who needs slots of one of these gates and has not started. Raises Unknowable."""
        wanted = set(gate_ids)
        heads = [self._head(lane.id) for lane in self._lanes.values() if wanted & {at for at, _ in lane.needs}]
        return min((head for head in heads if head), key=lambda head: head.place, default=None)

    # --- rules.Board ----------------------------------------------------------------------------------

    def gate(self, gate_id: int) -> Gate:
        if gate_id not in self._gates:
            raise Unknowable
        return self._gates[gate_id]

    def looks(self) -> Sequence[tuple[Lane, Candidate | None]]:
        for gate in [self.gate(gate_id) for gate_id in sorted(self._touched)]:
            if gate.kind in PRIVATE_KINDS and not gate.full:
                for lane_id in sorted({one.lane for one in self._beside.get(gate.id, ())}):
                    self.bring_back(gate, lane_id)
        wanted = set(self._awake)
        wanted |= {lane.id for lane in self._lanes.values() if lane.blocked_on in self._touched}
        if self._stirred or self._touched:
            wanted |= {lane.id for lane in self._lanes.values() if lane.without_prospect}
        self._awake, self._touched, self._stirred = set(), set(), False
        return [(self._lanes[lane_id], self._head(lane_id)) for lane_id in sorted(wanted)]

    def look_again(self, lane: Lane) -> None:
        self._awake.add(lane.id)

    def leave(self, lanes: Sequence[Lane]) -> None:
        raise Unknowable  # somebody who was not read might come before those that are left

    def park(self, lane: Lane, gate: Gate | None) -> None:
        lane.blocked_on, lane.without_prospect = gate.id if gate else None, False

    def has_to_spare(self, gate_id: int) -> bool:
        if not self._scene.checks_prospects:
            return True
        if self._more_asks:
            raise Unknowable
        waited_for = sum(
            slots
            for (at, private), slots in self._waits.items()
            if at == gate_id and rules.first_blocking(private, self.gate) is None
        )
        has = self.gate(gate_id).has_to_spare(waited_for, self._scene.buffer)
        if has and not self._scene.waits_are_all:
            raise Unknowable
        return has

    def park_without_prospect(self, lane: Lane) -> None:
        lane.blocked_on, lane.without_prospect = None, True

    def admit(self, candidate: Candidate, needs: Needs) -> None:
        self._take_out(candidate)
        asks = self._scene.asks(candidate.holder)
        if self._more_asks and (not asks or any(self.gate(gate_id).kind == "pool" for gate_id, _ in needs)):
            raise Unknowable  # what was admitted before may have asked for these slots, and come first
        for gate_id, slots in (*needs, *candidate.private):
            self.gate(gate_id).in_use += slots
        for gate_id, slots in needs:
            if (gate_id, candidate.private) in self._waits:
                self._waits[gate_id, candidate.private] -= slots
        self.admitted.append(candidate)
        if candidate.holder == self._asked_about:
            raise _Decided
        self._more_asks = self._more_asks or asks
        self._stirred = True
        self._keeps_nothing_for(candidate)

    def hold_back(self, candidate: Candidate, gate: Gate) -> None:
        self._take_out(candidate)
        self._beside.setdefault(gate.id, []).append(candidate)
        self._stirred = True

    def bring_back(self, gate: Gate, lane_id: int) -> None:
        if gate.id in self._scene.crowded or lane_id not in self._lanes:
            raise Unknowable
        held = [one for one in self._beside.get(gate.id, ()) if one.lane == lane_id]
        if held:
            best = min(held, key=lambda one: one.place)
            self._beside[gate.id].remove(best)
            insort(self._waiting[lane_id], (best.place, best))
            self._awake.add(lane_id)

    def _head(self, lane_id: int) -> Candidate | None:
        line, edge = self._waiting[lane_id], self._edge.get(lane_id)
        if edge is not None and (not line or line[0][0] > edge):
            raise Unknowable
        return line[0][1] if line else None

    def _take_out(self, candidate: Candidate) -> None:
        self._waiting[candidate.lane].remove((candidate.place, candidate))

    def _touch(self, gate_id: int) -> None:
        if gate_id not in self._scene.touchable:
            raise Unknowable
        self._touched.add(gate_id)

    def _keeps_nothing_for(self, candidate: Candidate) -> None:
        for gate_id, _ in self._lanes[candidate.lane].needs:
            gate = self.gate(gate_id)
            if gate.reservation and gate.reservation.holder == candidate.holder:
                gate.reservation = None
                self._touch(gate_id)
