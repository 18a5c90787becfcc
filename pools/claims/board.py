"""The board of one transaction: which lanes are looked at, who is first in them, and what became of them.

The part of a desk that the decision reads and moves. What is decided is kept in memory until the desk writes it. Only
waiters are written before the database is asked who is first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

from pools import rules
from pools.claims import store
from pools.claims.account import Account, Book, KnownCandidate, KnownLane
from pools.claims.known import Known, waited_for
from pools.rules import PRIVATE_KINDS, Gate, Place

LOOKS = 1000  # heads of lanes read at once, and half of those looked at in one transaction; the rest is left dirty
AHEAD = 50  # waiters read at once when a line moves


class Board(Known):
    """Lanes and the first in their lines, for `rules.settle`."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self._book = Book(now)
        self.left_dirty = False  # whether lanes are left to be looked at
        self.horizon: Place | None = None
        self._looked = 0
        self._first_look = True
        self._touched: set[int] = set()  # gates that may have gained room since the last look
        self._opened: set[int] = set()  # gates that may have more to spare since the last look
        self._all_opened = False  # whether that may be so of any gate
        self._queue_settings: tuple[bool, int] | None = None
        self._lacking = False  # whether any lane lacked a prospect when heads were read
        self._awake: set[int] = set()  # lanes to look at
        self._dirty: set[int] = set()  # lanes that were read as dirty
        self._ahead: dict[int, deque[KnownCandidate]] = {}
        # Decided, still to be written:
        self._parked: dict[int, KnownLane] = {}
        self._gone: list[int] = []
        self._held_back: dict[int, list[tuple[int, Account]]] = {}
        self._left: set[int] = set()  # lanes left to a later desk
        self._overflowed: set[int] = set()  # gates at which some were left

    # --- what the decision looks at -------------------------------------------------------------------

    def looks(self) -> list[tuple[KnownLane, KnownCandidate | None]]:
        """See `rules.Board.looks`. The first LOOKS heads are read; as many more looks are for who comes after them."""
        self._bring_back_held()
        room = [gate_id for gate_id in self._touched if not self._gates[gate_id].full]
        awake, self._awake = self._awake, set()
        opened = None if self._all_opened else sorted(self._opened)
        self._touched.clear()
        self._opened.clear()
        self._all_opened = False
        dirty, self._first_look = self._first_look, False
        budget = 2 * LOOKS - self._looked
        if not (awake or room or dirty or opened is None or opened):
            return []
        if budget <= 0:
            self.horizon = rules.BEFORE_ALL
            self._leave(awake, room, opened)
            return []
        if len(awake) == 1 and not (room or dirty or opened is None or opened):
            found = [self._next(awake.pop())]
        else:
            found = self._heads(sorted(awake), sorted(room), opened, dirty, min(budget, LOOKS) + 1)
        if len(found) > min(budget, LOOKS):  # those left out come after those read
            found.pop()
            self._leave(awake - {lane.id for lane, _ in found}, room, opened)
            if last := found[-1][1]:
                self.horizon = min(last.place, self.horizon or last.place)
        self._looked += len(found)
        self.load_gates(
            {gate_id for lane, head in found for gate_id, _ in (*lane.needs, *(head.private if head else ()))}
        )
        return found

    def look_again(self, lane: rules.Lane) -> None:
        self._awake.add(lane.id)

    def leave(self, lanes: Sequence[rules.Lane]) -> None:
        self._leave((lane.id for lane in lanes), [], [])

    def park(self, lane: rules.Lane, gate: Gate | None) -> None:
        if gate is not None and lane.blocked_on is not None:
            slots = dict(lane.needs).get(lane.blocked_on)
            if slots and self.gate(lane.blocked_on).blocks(slots):
                gate = self.gate(lane.blocked_on)  # where it is parked still has no room: nothing to write
        self._park(self._lanes[lane.id], gate.id if gate else None, False)

    def has_to_spare(self, gate_id: int) -> bool:
        checks, buffer = self._settings_of_queue()
        gate = self.gate(gate_id)
        if not checks or not gate.has_to_spare(0, buffer) or gate.limit is None:
            return not checks or gate.has_to_spare(0, buffer)
        self._write_waiters()
        enough = gate.limit - gate.in_use + buffer
        return gate.has_to_spare(waited_for([gate_id], self.load_gates, self.gate, enough)[gate_id], buffer)

    def park_without_prospect(self, lane: rules.Lane) -> None:
        self._park(self._lanes[lane.id], None, True)

    def _park(self, lane: KnownLane, blocked_on: int | None, without_prospect: bool) -> None:
        stays = (blocked_on, without_prospect) == (lane.blocked_on, lane.without_prospect)
        if stays and lane.id not in self._dirty:
            return
        lane.sums = lane.until(self.now)
        lane.blocked_on, lane.without_prospect = blocked_on, without_prospect
        lane.parked_at = self.now if blocked_on is not None or without_prospect else None
        self._parked[lane.id] = lane
        self._dirty.discard(lane.id)

    def hold_back(self, candidate: rules.Candidate, gate: Gate) -> None:
        held = self._book.held_back(candidate, self.lane(candidate.lane), gate.id)
        self._held_back.setdefault(gate.id, []).append((candidate.id, held))

    def bring_back(self, gate: Gate, lane_id: int) -> None:
        self._write_waiters()
        candidate = store.bring_back(gate.id, lane_id)
        if candidate is not None:
            self._book.returned(candidate, self.lane(candidate.lane))
            self._ahead.pop(lane_id, None)
            self._awake.add(lane_id)

    def _bring_back_held(self) -> None:
        """For each touched gate of a run with room: the best that it holds back in every lane returns."""
        for gate in [self._gates[gate_id] for gate_id in self._touched]:
            if gate.kind in PRIVATE_KINDS:
                self._touched.discard(gate.id)
                if gate.holds_back and not gate.full:
                    self._write_waiters()
                    for lane_id in store.lanes_held_back(gate.id):
                        self.bring_back(gate, lane_id)

    def _heads(
        self, awake: list[int], room: list[int], opened: list[int] | None, dirty: bool, most: int
    ) -> list[tuple[KnownLane, KnownCandidate | None]]:
        self._write_waiters()
        self._write_lanes()
        found: list[tuple[KnownLane, KnownCandidate | None]] = []
        heads, lacking = store.heads(awake, room, opened, dirty, most)
        self._lacking = self._lacking or lacking
        for lane, is_dirty, head in heads:
            if is_dirty:
                self._dirty.add(lane.id)
            self._ahead.pop(lane.id, None)  # its first in line was read anew: what was read ahead begins with it
            found.append((self._lanes.setdefault(lane.id, lane), head))
        return found

    def _next(self, lane_id: int) -> tuple[KnownLane, KnownCandidate | None]:
        """The lane and the first in its line, read some way ahead: the lane has moved and may move on."""
        if not self._ahead.get(lane_id):
            self._write_waiters()
            self._ahead[lane_id] = deque(store.line(lane_id, AHEAD))
            self.load_gates({gate_id for candidate in self._ahead[lane_id] for gate_id, _ in candidate.private})
        ahead = self._ahead[lane_id]
        return self.lane(lane_id), ahead.popleft() if ahead else None

    # --- what is written before the desk closes -------------------------------------------------------

    def _write_waiters(self) -> None:
        """Write who left the line."""
        if self._gone:
            store.leave(self._gone)
            self._gone = []
        for gate_id, accounts in self._held_back.items():
            store.hold_back(gate_id, accounts)
        self._held_back = {}
        returned = self._book.take_returned()
        if returned:
            store.write_accounts(returned)

    def _write_lanes(self) -> None:
        if self._parked:
            store.park(list(self._parked.values()), self.now)
        self._parked = {}

    # --- what wakes lanes -----------------------------------------------------------------------------

    def touch(self, gate_id: int) -> None:
        """This gate may have gained room."""
        self._touched.add(gate_id)
        if self._gates[gate_id].kind == "pool":
            self._opened.add(gate_id)

    def _leave(self, lane_ids: Iterable[int], gate_ids: Iterable[int], opened: Sequence[int] | None) -> None:
        """Leave lanes, those parked on gates, and those without prospect, to a later desk."""
        self.left_dirty = True
        self._left.update(lane_ids)
        self._overflowed.update(gate_ids)
        if opened is None or opened:
            store.mark_dirty_without_prospect()

    def _settings_of_queue(self) -> tuple[bool, int]:
        """Whether prospects are looked at, and how many more than have one may start."""
        if self._queue_settings is None:
            self._queue_settings = store.queue_settings()
        return self._queue_settings

    def _somebody_lacks_a_prospect(self) -> bool:
        return self._lacking or any(lane.without_prospect for lane in self._lanes.values())
