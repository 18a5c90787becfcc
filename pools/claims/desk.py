"""The desk: one transaction's view of gates and lines, and the writes that follow from a decision.

What happens at a desk is kept in memory and written in few statements when it closes: on PostgreSQL the
round trips under the lock are what costs. A release and an admission at the same gate cancel out and
write nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from pools import rules
from pools.claims import store
from pools.claims.account import PROSPECTS, Account, KnownCandidate, kind_and_label
from pools.claims.board import Board
from pools.claims.kinds import Ask, Grant, HolderKind, kind_of, tell
from pools.claims.known import gates_of
from pools.claims.lock import together
from pools.claims.store import NewHold
from pools.rules import PRIVATE_KINDS, Needs


class Desk(Board):
    """One transaction under the admission lock. Implements `rules.Board` on the database."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        # Decided, still to be written:
        self._holds: list[NewHold] = []
        self._grants: list[Grant] = []
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

    # --- deciding, and closing ------------------------------------------------------------------------

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

    def _take_back(self, given: Sequence[tuple[int, int]]) -> bool:
        self.load_gates(gate_id for gate_id, _ in given)
        for gate_id, slots in given:
            self._gates[gate_id].in_use -= slots
            self.touch(gate_id)
        self.note(gate_id for gate_id, _ in given)
        return bool(given)

    def _reserves_no_more(self, candidate: rules.Candidate) -> None:
        """It left the line, or stands elsewhere in it: what was kept for it is free."""
        reserved = [gate_id for gate_id, _ in self.lane(candidate.lane).needs]
        self.load_gates(reserved)
        for gate in [self._gates[gate_id] for gate_id in reserved]:
            if gate.reservation and gate.reservation.holder == candidate.holder:
                self.drop_reservation(candidate.holder)
                return

    def _line_changed(self, candidate: KnownCandidate) -> None:
        """Somebody left a line or took another place in it: what was read ahead is not true any more."""
        self._ahead.pop(candidate.lane, None)
        self.load_gates(gate_id for gate_id, _ in candidate.private)
        self.note(gate_id for gate_id, _ in self.lane(candidate.lane).needs)
