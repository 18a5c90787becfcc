"""The desk: one transaction's view of gates and lines, and the writes that follow from a decision.

What happens at a desk is kept in memory and written in few statements when it closes: on PostgreSQL the
round trips under the lock are what costs. A release and an admission at the same gate cancel out and
write nothing. Waiters are written before the database is asked who is first.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from pools import rules
from pools.claims import store
from pools.claims.account import PROSPECTS, Account, Book, KnownCandidate, KnownLane, kind_and_label
from pools.claims.kinds import Ask, Grant, HolderKind, kind_of, tell
from pools.claims.known import Known, gates_of, waited_for
from pools.claims.lock import together
from pools.claims.store import NewHold
from pools.rules import PRIVATE_KINDS, Gate, Needs, Place

LOOKS = 1000  # heads of lanes read at once, and half of those looked at in one transaction; the rest is left dirty
AHEAD = 50  # waiters read at once when a line moves


class Desk(Known):
    """One transaction under the admission lock. Implements `rules.Board` on the database."""

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
        self._holds: list[NewHold] = []
        self._grants: list[Grant] = []
        self._left: set[int] = set()  # lanes left to a later desk
        self._overflowed: set[int] = set()  # gates at which some were left
        self._closing: list[str] = []  # families of gates

    # --- candidates and holders -----------------------------------------------------------------------

    def ask(self, asks: Sequence[Ask]) -> None:
        """Put candidates in line. Gates seen for the first time are born."""
        if not asks:
            return
        self.open_gates(spec for ask in asks for spec in gates_of(ask))
        entries = [(ask, *self._needs(ask.needs), self._prospects(ask.prospects)) for ask in asks]
        lanes = self._lanes_for({(shared, prospects) for _, shared, _, prospects in entries})
        joined = {lane.id: self._book.joined(lane) for lane in lanes.values()}
        store.join(
            [
                (lane.id, ask, own, joined[lane.id])
                for ask, shared, own, ahead in entries
                for lane in [lanes[shared, ahead]]
            ]
        )
        for lane in lanes.values():
            self._ahead.pop(lane.id, None)
            if lane.blocked_on is None or not self.gate(lane.blocked_on).full:
                self._awake.add(lane.id)
        self.note(gate_id for shared, _ in lanes for gate_id, _ in shared)

    def release(self, holder: str, token: int) -> bool:
        """Give back everything a holder has under this token. False: it holds nothing under it."""
        return self._take_back(store.give_back(holder, token))

    def release_all(self, *holders: str) -> bool:
        """Give back everything these holders have, whatever their tokens: for those that ended otherwise."""
        return bool(holders) and self._take_back(store.give_back_all(holders))

    def lock(self, holders: Sequence[str]) -> None:
        """Wait until nobody is renewing or starting under these holds, and keep it so.

        Whoever must look at a holder's own row before it decides what to release takes this first: holds
        come before the rows of their holders, for everybody.
        """
        if holders:
            store.lock_holds(holders)

    def expire(self, holder: str, token: int) -> bool:
        """Take back the slots of a lapsed lease and tell the holder's kind.

        False: the lease was renewed or released meanwhile, nothing was changed.
        """
        lapsed = self._take_back(store.give_back(holder, token, lapsed_at=self.now))
        if lapsed:
            kind_of(holder).expired(self, Grant(holder, token))
        return lapsed

    def withdraw(self, holders: Sequence[str]) -> None:
        """Take candidates out of the line. Those that are not in it are left alone."""
        if not holders:
            return
        self._write_waiters()
        for candidate, stood_in_line in store.withdraw(holders):
            self._line_changed(candidate)
            self._opened.update(gate_id for gate_id, _ in self.lane(candidate.lane).needs)
            if stood_in_line:
                rules.left_the_line(self, candidate)
            self._reserves_no_more(candidate)

    def waited_for(self, candidate: KnownCandidate) -> list[str]:
        """What a waiting candidate has waited for so far, in words, the longest wait first."""
        waited = self._book.waited(candidate, self.lane(candidate.lane))
        self.load_gates(int(key) for key in waited if key != PROSPECTS)
        longest_first = sorted(waited, key=lambda key: -waited[key])
        return [rules.name_of(*kind_and_label(key, self._gates.get)) for key in longest_first]

    def reprioritize(self, holder: str, priority: int) -> bool:
        """Give a waiting candidate another priority, at once. False: it is not waiting."""
        self._write_waiters()
        candidate = store.reprioritize(holder, priority)
        if candidate is None:
            return False
        self._line_changed(candidate)
        self._book.returned(candidate, self.lane(candidate.lane))
        self._awake.add(candidate.lane)
        rules.left_the_line(self, candidate)  # those that its run's gates hold back may be better than it now
        self._reserves_no_more(candidate)
        return True

    def move(self, moves: Sequence[Ask]) -> None:
        """Give waiting candidates other needs and prospects; they keep their priorities and their times.

        Only needs at shared gates are moved. Those that don't wait any more are left alone.
        """
        if not moves:
            return
        self.open_gates(spec for ask in moves for spec in gates_of(ask))
        wanted = {ask.holder: (self._needs(ask.needs)[0], self._prospects(ask.prospects)) for ask in moves}
        lanes = self._lanes_for(set(wanted.values()))
        self._write_waiters()
        moved: dict[int, list[tuple[int, Account]]] = {}
        for candidate in store.by_holder(list(wanted)):
            lane = lanes[wanted[candidate.holder]]
            if lane.id == candidate.lane:
                continue
            moved.setdefault(lane.id, []).append(
                (candidate.id, self._book.move(candidate, self.lane(candidate.lane), lane))
            )
            self._line_changed(candidate)
            self._reserves_no_more(candidate)
        for lane_id, accounts in moved.items():
            store.change_lane(lane_id, accounts)
            self._ahead.pop(lane_id, None)
            self._awake.add(lane_id)

    # --- gates ----------------------------------------------------------------------------------------

    def resize(self, gate_id: int, limit: int | None) -> None:
        """Change a gate's limit. Nobody who holds is stopped; whoever now fits is admitted on closing."""
        gate = self.gate(gate_id)
        self._write_gates()
        gate.limit = limit
        store.set_limit(gate, limit)
        self.touch(gate_id)
        self.note([gate_id])

    def pause(self, gate_id: int, paused: bool) -> None:
        """Let nobody in, or let them in again. The limit stays."""
        self.gate(gate_id).paused = paused
        store.set_paused(gate_id, paused)
        self.touch(gate_id)
        self.note([gate_id])

    def prospects_changed(self) -> None:
        """What counts as a prospect has changed: lanes without one are looked at again."""
        self._all_opened = True
        self._queue_settings = None

    def reserve(self, candidate: KnownCandidate) -> None:
        """Keep the slots that a waiting candidate needs."""
        needs = self.lane(candidate.lane).needs
        slots = tuple(need for need in needs if self.gate(need[0]).kind != rules.WORKERS)
        store.reserve(candidate.holder, candidate.priority, slots)
        for gate_id, number in slots:
            self.gate(gate_id).reservation = store.reservation(candidate.holder, number, candidate.priority)
            self.touch(gate_id)
        self.note(gate_id for gate_id, _ in slots)

    def drop_reservation(self, holder: str) -> None:
        """Keep nothing for a candidate any more."""
        for gate_id in store.drop_reservation(holder):
            self.gate(gate_id).reservation = None
            self.touch(gate_id)
            self.note([gate_id])

    def count_in(self, gate_id: int, holders: Sequence[str]) -> None:
        """Count holders that are in already, a slot each, with their places in line, at a new gate without a limit."""
        gate = self.gate(gate_id)
        if gate.limit is not None:
            raise ValueError(f"{gate.key} has a limit already: nobody is counted past it")
        gate.in_use += len(holders)
        places = store.places_of(holders) | {hold.holder: (hold.priority, hold.asked_at) for hold in self._holds}
        self._holds += [NewHold(gate_id, each, 1, 0, self.now, None, *places.get(each, (0, None))) for each in holders]
        self.note([gate_id])

    def close_gates(self, family: str) -> None:
        """Remove the gates of a family when the desk closes; nobody may hold or need them any more."""
        self._closing.append(family)

    def is_idle(self, gate_id: int) -> bool:
        """Whether nobody holds a slot of this gate and nobody waits in a lane that needs it."""
        self._write_waiters()
        return self.gate(gate_id).in_use == 0 and not store.is_needed(gate_id)

    def remove_gate(self, gate_id: int) -> None:
        """Remove a gate in whose lanes nobody waits. Whoever holds it is not counted any more."""
        self._write_waiters()
        self._write_lanes()
        store.discard_holds(gate_id)
        for lane_id in store.delete_gate(gate_id):
            self._lanes.pop(lane_id, None)
            self._awake.discard(lane_id)
        self._gates.pop(gate_id, None)
        self._touched.discard(gate_id)

    # --- the board: what the decision reads and writes ------------------------------------------------

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

    def admit(self, candidate: rules.Candidate, needs: Needs) -> None:
        kind = kind_of(candidate.holder)
        gates = [(self.gate(gate_id), slots) for gate_id, slots in (*needs, *candidate.private)]
        grant = Grant(candidate.holder, secrets.randbits(62), tuple(gate.key for gate, _ in gates))
        until = self.now + timedelta(seconds=kind.lease) if kind.lease else None
        for gate, slots in gates:
            gate.in_use += slots
            if gate.kind in PRIVATE_KINDS and gate.full:
                self._all_opened = self._all_opened or self._somebody_lacks_a_prospect()
            self._holds.append(
                NewHold(gate.id, grant.holder, slots, grant.token, self.now, until, candidate.priority, candidate.since)
            )
        self._book.admitted(candidate, grant.token, self.lane(candidate.lane))
        self._gone.append(candidate.id)
        self.note(gate_id for gate_id, _ in needs)
        self._reserves_no_more(candidate)
        if kind.asks:
            kind.admitted(self, [grant])
        else:
            self._grants.append(grant)

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

    # --- closing --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Admit whoever fits, write everything, tell the holders."""
        rules.settle(self)
        with together():
            self._write_waiters()
            self._write_gates()
            if self._holds:
                store.take(self._holds)
            waits = self._book.waits(self.load_gates, self._gates.get)
            if waits:
                store.note_waits(waits, self.now)
            self._write_lanes()
            overflowed = [gate_id for gate_id in self._overflowed if not self.gate(gate_id).full]
            store.mark_dirty(sorted(self._left), overflowed)
        by_kind: dict[HolderKind, list[Grant]] = {}
        for grant in self._grants:
            by_kind.setdefault(kind_of(grant.holder), []).append(grant)
        for kind, granted in by_kind.items():
            kind.admitted(self, granted)
        if self._closing:
            store.delete_families(self._closing)
        topics = self.topics
        if topics:
            transaction.on_commit(lambda: tell(topics))

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

    # --- what this desk knows -------------------------------------------------------------------------

    def _take_back(self, given: Sequence[tuple[int, int]]) -> bool:
        self.load_gates(gate_id for gate_id, _ in given)
        for gate_id, slots in given:
            self._gates[gate_id].in_use -= slots
            self.touch(gate_id)
        self.note(gate_id for gate_id, _ in given)
        return bool(given)

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

    def _reserves_no_more(self, candidate: rules.Candidate) -> None:
        """It left the line, or stands elsewhere in it: what was kept for it is free."""
        reserved = [gate_id for gate_id, _ in self.lane(candidate.lane).needs]
        self.load_gates(reserved)
        for gate in [self._gates[gate_id] for gate_id in reserved]:
            if gate.reservation and gate.reservation.holder == candidate.holder:
                self.drop_reservation(candidate.holder)
                return

    def _settings_of_queue(self) -> tuple[bool, int]:
        """Whether prospects are looked at, and how many more than have one may start."""
        if self._queue_settings is None:
            self._queue_settings = store.queue_settings()
        return self._queue_settings

    def _somebody_lacks_a_prospect(self) -> bool:
        return self._lacking or any(lane.without_prospect for lane in self._lanes.values())

    def _line_changed(self, candidate: KnownCandidate) -> None:
        """Somebody left a line or took another place in it: what was read ahead is not true any more."""
        self._ahead.pop(candidate.lane, None)
        self.load_gates(gate_id for gate_id, _ in candidate.private)
        self.note(gate_id for gate_id, _ in self.lane(candidate.lane).needs)
