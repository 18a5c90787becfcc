"""A board in memory for `rules.settle`: the plainest thing that keeps what `rules.Board` promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pools import rules
from pools.rules import PRIVATE_KINDS, Candidate, Gate, Lane, Needs, Prospects, Reservation

START = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryBoard:
    """Gates by name; the name up to the first "_" or ":" is the kind if it is one, else it is a pool.

    `looks_left` bounds the heads that it shows; then its horizon is before all, until the next decision. Of many heads
    it shows the first, half of the looks that are left; the others lie behind its horizon. `admitted` is called with
    each holder admitted and may ask for more.
    """

    def __init__(self, limits: Mapping[str, int | None], admitted: Callable[[str], None] = lambda _: None) -> None:
        self.limits = dict(limits)
        self.kinds = {name: _kind_of(name) for name in limits}
        self.tell = admitted
        self.paused: set[str] = set()
        self.in_use = dict.fromkeys(limits, 0)
        self.lanes: dict[tuple[Needs, Prospects], Lane] = {}
        self.checks_prospects = True
        self.buffer = 0
        self.reservations: dict[str, Reservation] = {}  # by gate
        self._stirred = False  # whether anything happened that might open a prospect
        self.waiting: dict[str, Candidate] = {}
        self.held_back: dict[str, str] = {}
        self.holding: dict[str, Needs] = {}
        self.admitted: list[str] = []
        self.looked_at: list[int] = []
        self.looks_left = 10**6
        self.horizon: rules.Place | None = None
        self._names = list(limits)
        self._touched: set[str] = set()
        self._awake: set[int] = set()
        self._dirty: set[int] = set()
        self._left_out: set[int] = set()  # dirty from the next decision on
        self._ids = 0

    # --- events -----------------------------------------------------------------------------------

    def ask(self, holder: str, priority: int, since: float, **needs: int) -> None:
        self.ask_for(holder, priority, since, needs, self._ids + 1)

    def ask_for(
        self,
        holder: str,
        priority: int,
        since: float,
        needs: Mapping[str, int],
        number: int,
        prospects: Sequence[Sequence[str]] = (),
    ) -> None:
        """Put a candidate in line. `number` orders those that became candidates together."""
        gates = [(self.gate(self._names.index(name)), slots) for name, slots in needs.items()]
        shared = rules.in_order(need for need in gates if need[0].kind not in PRIVATE_KINDS)
        private = rules.in_order(need for need in gates if need[0].kind in PRIVATE_KINDS)
        looked_at = tuple(tuple(self._names.index(name) for name in group) for group in prospects)
        lane = self.lanes.setdefault((shared, looked_at), Lane(len(self.lanes), shared, prospects=looked_at))
        self._ids += 1
        moment = START + timedelta(seconds=since)
        self.waiting[holder] = Candidate(self._ids, holder, lane.id, priority, moment, number, private)
        self._awake.add(lane.id)

    def release(self, holder: str) -> None:
        for gate_id, slots in self.holding.pop(holder):
            self.in_use[self._names[gate_id]] -= slots
            self._touched.add(self._names[gate_id])

    def withdraw(self, holder: str) -> None:
        candidate = self.waiting.pop(holder)
        self._stirred = True
        if self.held_back.pop(holder, None) is None:
            self._awake.add(candidate.lane)
            rules.left_the_line(self, candidate)

    def touch(self, name: str) -> None:
        self._touched.add(name)

    def stir(self) -> None:
        """What counts as a prospect may have changed."""
        self._stirred = True

    def open(self, name: str, kind: str, limit: int | None) -> None:
        """A gate is born."""
        self._names.append(name)
        self.kinds[name], self.limits[name], self.in_use[name] = kind, limit, 0

    def set(self, name: str, limit: int | None, paused: bool) -> None:
        """A gate has this limit from now on, and is paused or not."""
        if (self.limits[name], name in self.paused) != (limit, paused):
            self.limits[name] = limit
            (self.paused.add if paused else self.paused.discard)(name)
            self.touch(name)

    def hold_exactly(self, holder: str, needs: Mapping[str, int]) -> None:
        """Count a holder at these gates, whether or not they have room, and nowhere else."""
        for gate_id, slots in self.holding[holder]:
            self.in_use[self._names[gate_id]] -= slots
            self.touch(self._names[gate_id])
        self.holding[holder] = tuple((self._names.index(name), slots) for name, slots in needs.items())
        for name, slots in needs.items():
            self.in_use[name] += slots

    # --- rules.Board --------------------------------------------------------------------------------

    def gate(self, gate_id: int) -> Gate:
        name = self._names[gate_id]
        return Gate(
            gate_id,
            self.kinds[name],
            name,
            name,
            self.limits[name],
            self.in_use[name],
            name in self.paused,
            name in self.held_back.values(),
            self.reservations.get(name),
        )

    def looks(self) -> Sequence[tuple[Lane, Candidate | None]]:
        for name in sorted(self._touched):
            gate = self.gate(self._names.index(name))
            if gate.kind in PRIVATE_KINDS and not gate.full:
                for lane in list(self.lanes.values()):
                    self.bring_back(gate, lane.id)
        wanted = self._awake | self._dirty
        wanted |= {lane.id for lane in self.lanes.values() if self._is_parked_on(lane, self._touched)}
        if self._stirred or self._touched:
            wanted |= {lane.id for lane in self.lanes.values() if lane.without_prospect}
        self._stirred = False
        self._awake, self._touched, self._dirty = set(), set(), set()
        if wanted and self.looks_left <= 0:
            self.horizon, self._left_out = rules.BEFORE_ALL, self._left_out | wanted
            return []
        found = [(lane, self._head(lane.id)) for lane in self.lanes.values() if lane.id in wanted]
        found.sort(key=lambda look: (0, look[1].place) if look[1] else (1, (0, START, 0, 0)))
        most = max(1, self.looks_left // 2)
        if len(found) > most:
            self._left_out.update(lane.id for lane, _ in found[most:])  # those come after those looked at
            found = found[:most]
            last = found[-1][1]
            if last is not None and (self.horizon is None or last.place < self.horizon):
                self.horizon = last.place
        self.looks_left -= len(found)
        self.looked_at += [lane.id for lane, _ in found]
        return found

    def look_again(self, lane: Lane) -> None:
        self._awake.add(lane.id)

    def leave(self, lanes: Sequence[Lane]) -> None:
        self._left_out.update(lane.id for lane in lanes)

    def park(self, lane: Lane, gate: Gate | None) -> None:
        lane.blocked_on, lane.without_prospect = gate.id if gate else None, False

    def has_to_spare(self, gate_id: int) -> bool:
        return not self.checks_prospects or self.gate(gate_id).has_to_spare(self.waited_for(gate_id), self.buffer)

    def waited_for(self, gate_id: int) -> int:
        """The slots of a gate that those ask whom no gate of their own holds back."""
        free = [c for c in self.waiting.values() if rules.first_blocking(c.private, self.gate) is None]
        return sum(dict(self.lane(candidate).needs).get(gate_id, 0) for candidate in free)

    def park_without_prospect(self, lane: Lane) -> None:
        lane.blocked_on, lane.without_prospect = None, True

    def admit(self, candidate: Candidate, needs: Needs) -> None:
        del self.waiting[candidate.holder]
        self.holding[candidate.holder] = (*needs, *candidate.private)
        for gate_id, slots in self.holding[candidate.holder]:
            self.in_use[self._names[gate_id]] += slots
        self.admitted.append(candidate.holder)
        self._stirred = True
        self.tell(candidate.holder)

    def hold_back(self, candidate: Candidate, gate: Gate) -> None:
        self.held_back[candidate.holder] = gate.key
        self._stirred = True

    def bring_back(self, gate: Gate, lane_id: int) -> None:
        held = [c for c in self.waiting.values() if c.lane == lane_id and self.held_back.get(c.holder) == gate.key]
        if held:
            del self.held_back[min(held, key=lambda c: c.place).holder]
            self._awake.add(lane_id)

    def lane(self, candidate: Candidate) -> Lane:
        """The lane in which somebody waits."""
        return next(lane for lane in self.lanes.values() if lane.id == candidate.lane)

    def needs_of(self, holder: str) -> tuple[dict[str, int], list[list[str]]]:
        """What somebody who waits needs, and its prospects."""
        candidate = self.waiting[holder]
        lane = self.lane(candidate)
        needs = {self._names[gate]: slots for gate, slots in (*lane.needs, *candidate.private)}
        return needs, [[self._names[gate] for gate in group] for group in lane.prospects]

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
        return bool(self._left_out)

    def decide(self, looks: int) -> None:
        """One decision after another, each with so many looks, until nothing is left to look at."""
        while True:
            self.looks_left, self.horizon = looks, None
            self._dirty, self._left_out = self._left_out, set()
            rules.settle(self)
            if not self.has_more:
                return


def _kind_of(name: str) -> str:
    kind = name.partition("_")[0]
    return kind if kind in rules.KINDS else "pool"
