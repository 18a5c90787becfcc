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
from pools.claims.kinds import Ask, Grant, HolderKind, kind_of, tell
from pools.rules import PRIVATE_KINDS, Candidate, Gate, GateSpec, Lane, Need, Needs

LOOKS = 1000  # heads of lanes looked at in one transaction; the rest is left dirty for the next one
AHEAD = 50  # waiters read at once when a line moves


class Desk:
    """One transaction under the admission lock. Implements `rules.Board` on the database."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.topics: set[str] = set()  # what changed, for whoever watches
        self.left_dirty = False  # whether lanes are left to be looked at
        self.tired = False
        self._looked = 0
        self._first_look = True
        self._gates: dict[int, Gate] = {}
        self._stored_use: dict[int, int] = {}
        self._touched: set[int] = set()  # gates that may have gained room since the last look
        self._lanes: dict[int, Lane] = {}
        self._awake: set[int] = set()  # lanes to look at
        self._dirty: set[int] = set()  # lanes that were read as dirty
        self._ahead: dict[int, deque[Candidate]] = {}
        # Decided, still to be written:
        self._parked: dict[int, int | None] = {}
        self._gone: list[int] = []
        self._held_back: dict[int, list[int]] = {}
        self._holds: list[tuple[int, str, int, int, datetime, datetime | None]] = []
        self._grants: list[Grant] = []
        self._left: set[int] = set()  # lanes left to a later desk
        self._overflowed: set[int] = set()  # gates at which some were left
        self._closing: list[str] = []  # families of gates

    # --- candidates and holders -----------------------------------------------------------------------

    def ask(self, asks: Sequence[Ask]) -> None:
        """Put candidates in line. Gates seen for the first time are born."""
        if not asks:
            return
        ids = self.open_gates(need.gate for ask in asks for need in ask.needs)
        entries: list[tuple[Ask, Needs, Needs]] = []
        for ask in asks:
            needs = [(self._gates[ids[need.gate.key]], need.slots) for need in ask.needs]
            shared = rules.in_order(need for need in needs if need[0].kind not in PRIVATE_KINDS)
            private = rules.in_order(need for need in needs if need[0].kind in PRIVATE_KINDS)
            entries.append((ask, shared, private))
        lanes = self._lanes_for({shared for _, shared, _ in entries})
        store.join([(lanes[shared].id, ask, own) for ask, shared, own in entries])
        for lane in lanes.values():
            self._ahead.pop(lane.id, None)
            if lane.blocked_on is None or not self.gate(lane.blocked_on).full:
                self._awake.add(lane.id)
        self._note(gate_id for shared in lanes for gate_id, _ in shared)

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
            if stood_in_line:
                rules.left_the_line(self, candidate)

    def reprioritize(self, holder: str, priority: int) -> bool:
        """Give a waiting candidate another priority, at once. False: it is not waiting."""
        self._write_waiters()
        candidate = store.reprioritize(holder, priority)
        if candidate is None:
            return False
        self._line_changed(candidate)
        self._awake.add(candidate.lane)
        rules.left_the_line(self, candidate)  # those that its run's gates hold back may be better than it now
        return True

    def move(self, holder: str, needs: Sequence[Need]) -> None:
        """Give a waiting candidate other needs at shared gates; it keeps its priority and its time."""
        ids = self.open_gates(need.gate for need in needs)
        shared = rules.in_order((self._gates[ids[need.gate.key]], need.slots) for need in needs)
        lane = self._lanes_for({shared})[shared]
        self._write_waiters()
        if store.change_lane(holder, lane.id):
            self._ahead.pop(lane.id, None)
            self._awake.add(lane.id)

    # --- gates ----------------------------------------------------------------------------------------

    def resize(self, gate_id: int, limit: int | None) -> None:
        """Change a gate's limit. Nobody who holds is stopped; whoever now fits is admitted on closing."""
        gate = self.gate(gate_id)
        self._write_gates()
        gate.limit = limit
        store.set_limit(gate, limit)
        self._touched.add(gate_id)
        self._note([gate_id])

    def pause(self, gate_id: int, paused: bool) -> None:
        """Let nobody in, or let them in again. The limit stays."""
        self.gate(gate_id).paused = paused
        store.set_paused(gate_id, paused)
        self._touched.add(gate_id)
        self._note([gate_id])

    def open_gates(self, specs: Iterable[GateSpec]) -> dict[str, int]:
        """Find or make gates. Returns their ids by key.

        A pool seen for the first time gets its row, on the default limit from its first moment on.
        """
        wanted = {spec.key: spec for spec in specs}
        ids = {gate.key: gate.id for gate in self._gates.values() if gate.key in wanted}
        unknown = [key for key in wanted if key not in ids]
        found = self._know(store.gates_by_key(unknown)) if unknown else []
        ids |= {gate.key: gate.id for gate in found}
        missing = [spec for key, spec in wanted.items() if key not in ids]
        default = store.default_limit() if any(spec.kind == "pool" for spec in missing) else None
        for spec in missing:
            gate = store.make_gate(spec, default if spec.kind == "pool" else spec.limit)
            self._know([gate])
            ids[gate.key] = gate.id
            if spec.kind == "pool":
                store.make_pool(spec.label, gate.id)
                self._note([gate.id])
        return ids

    def count_in(self, gate_id: int, holders: Sequence[str]) -> None:
        """Count holders that are in already, a slot each, at a gate that is new and has no limit yet."""
        gate = self.gate(gate_id)
        if gate.limit is not None:
            raise ValueError(f"{gate.key} has a limit already: nobody is counted past it")
        gate.in_use += len(holders)
        self._holds += [(gate_id, holder, 1, 0, self.now, None) for holder in holders]
        self._note([gate_id])

    def close_gates(self, family: str) -> None:
        """Remove the gates of a family when the desk closes; nobody may hold or need them any more."""
        self._closing.append(family)

    def family(self, family: str) -> list[int]:
        """The gates of a family."""
        return store.family(family)

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

    def gate(self, gate_id: int) -> Gate:
        if gate_id not in self._gates:
            self._load_gates([gate_id])
        return self._gates[gate_id]

    def looks(self) -> list[tuple[Lane, Candidate | None]]:
        """See `rules.Board.looks`. After LOOKS heads the desk is tired: the rest stays dirty for a later one."""
        self._bring_back_held()
        room = [gate_id for gate_id in self._touched if not self._gates[gate_id].full]
        awake, self._awake = self._awake, set()
        self._touched.clear()
        dirty, self._first_look = self._first_look, False
        budget = LOOKS - self._looked
        if not (awake or room or dirty):
            return []
        if budget <= 0:
            self.tired = True
            self._leave(awake, room)
            return []
        if len(awake) == 1 and not room and not dirty:
            found = [self._next(awake.pop())]
        else:
            found = self._heads(sorted(awake), sorted(room), dirty, budget + 1)
        if len(found) > budget:  # those left out come after those read
            found = found[:budget]
            self._leave(awake - {lane.id for lane, _ in found}, room)
        self._looked += len(found)
        self._load_gates(
            {gate_id for lane, head in found for gate_id, _ in (*lane.needs, *(head.private if head else ()))}
        )
        return found

    def look_again(self, lane: Lane) -> None:
        self._awake.add(lane.id)

    def leave(self, lanes: Sequence[Lane]) -> None:
        self._leave((lane.id for lane in lanes), [])

    def park(self, lane: Lane, gate: Gate | None) -> None:
        if gate is not None and lane.blocked_on is not None:
            slots = dict(lane.needs).get(lane.blocked_on)
            if slots and self.gate(lane.blocked_on).blocks(slots):
                gate = self.gate(lane.blocked_on)  # where it is parked still has no room: nothing to write
        blocked_on = gate.id if gate else None
        if blocked_on != lane.blocked_on or lane.id in self._dirty:
            self._parked[lane.id] = lane.blocked_on = blocked_on
            self._dirty.discard(lane.id)

    def admit(self, candidate: Candidate, needs: Needs) -> None:
        kind = kind_of(candidate.holder)
        grant = Grant(candidate.holder, secrets.randbits(62))
        until = self.now + timedelta(seconds=kind.lease) if kind.lease else None
        for gate_id, slots in (*needs, *candidate.private):
            self.gate(gate_id).in_use += slots
            self._holds.append((gate_id, grant.holder, slots, grant.token, self.now, until))
        self._gone.append(candidate.id)
        self._note(gate_id for gate_id, _ in needs)
        if kind.asks:
            kind.admitted(self, [grant])
        else:
            self._grants.append(grant)

    def hold_back(self, candidate: Candidate, gate: Gate) -> None:
        self._held_back.setdefault(gate.id, []).append(candidate.id)

    def bring_back(self, gate: Gate, lane_id: int) -> None:
        self._write_waiters()
        if store.bring_back(gate.id, lane_id):
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

    def _heads(self, awake: list[int], room: list[int], dirty: bool, most: int) -> list[tuple[Lane, Candidate | None]]:
        self._write_waiters()
        self._write_lanes()
        found: list[tuple[Lane, Candidate | None]] = []
        for lane, is_dirty, head in store.heads(awake, room, dirty, most):
            if is_dirty:
                self._dirty.add(lane.id)
            found.append((self._lanes.setdefault(lane.id, lane), head))
        return found

    def _next(self, lane_id: int) -> tuple[Lane, Candidate | None]:
        """The lane and the first in its line, read some way ahead: the lane has moved and may move on."""
        if not self._ahead.get(lane_id):
            self._write_waiters()
            ahead = self._ahead[lane_id] = deque(store.line(lane_id, AHEAD))
            self._load_gates({gate_id for candidate in ahead for gate_id, _ in candidate.private})
        ahead = self._ahead[lane_id]
        return self._lane(lane_id), ahead.popleft() if ahead else None

    # --- closing --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Admit whoever fits, write everything, tell the holders."""
        rules.settle(self)
        self._write_waiters()
        self._write_gates()
        if self._holds:
            store.take(self._holds)
        self._write_lanes()
        store.mark_dirty(sorted(self._left), [gate_id for gate_id in self._overflowed if not self.gate(gate_id).full])
        by_kind: dict[HolderKind, list[Grant]] = {}
        for grant in self._grants:
            by_kind.setdefault(kind_of(grant.holder), []).append(grant)
        for kind, granted in by_kind.items():
            kind.admitted(self, granted)
        for family in self._closing:
            store.delete_family(family)
        topics = self.topics
        if topics:
            transaction.on_commit(lambda: tell(topics))

    def _write_waiters(self) -> None:
        """Write who left the line."""
        if self._gone:
            store.leave(self._gone)
            self._gone = []
        for gate_id, waiters in self._held_back.items():
            store.hold_back(gate_id, waiters)
        self._held_back = {}

    def _write_gates(self) -> None:
        changes = [
            (gate, gate.in_use - self._stored_use[gate.id])
            for gate in sorted(self._gates.values(), key=lambda gate: gate.id)
            if gate.in_use != self._stored_use[gate.id]
        ]
        if changes:
            store.add_use(changes)
            self._stored_use.update((gate.id, gate.in_use) for gate, _ in changes)

    def _write_lanes(self) -> None:
        by_gate: dict[int | None, list[int]] = {}
        for lane_id, gate_id in self._parked.items():
            by_gate.setdefault(gate_id, []).append(lane_id)
        for gate_id, lanes in by_gate.items():
            store.park(lanes, gate_id)
        self._parked = {}

    # --- what this desk knows -------------------------------------------------------------------------

    def _take_back(self, given: Sequence[tuple[int, int]]) -> bool:
        self._load_gates(gate_id for gate_id, _ in given)
        for gate_id, slots in given:
            self._gates[gate_id].in_use -= slots
            self._touched.add(gate_id)
        self._note(gate_id for gate_id, _ in given)
        return bool(given)

    def _leave(self, lane_ids: Iterable[int], gate_ids: Iterable[int]) -> None:
        """Leave lanes, and those parked on gates, to a later desk."""
        self.left_dirty = True
        self._left.update(lane_ids)
        self._overflowed.update(gate_ids)

    def _line_changed(self, candidate: Candidate) -> None:
        """Somebody left a line or took another place in it: what was read ahead is not true any more."""
        self._ahead.pop(candidate.lane, None)
        self._load_gates(gate_id for gate_id, _ in candidate.private)
        self._note(gate_id for gate_id, _ in self._lane(candidate.lane).needs)

    def _lane(self, lane_id: int) -> Lane:
        if lane_id not in self._lanes:
            (self._lanes[lane_id],) = store.lanes_by_id([lane_id])
        return self._lanes[lane_id]

    def _lanes_for(self, wanted: set[Needs]) -> dict[Needs, Lane]:
        """Find or make lanes. What this desk has decided about a lane is newer than what was read."""
        return {needs: self._lanes.setdefault(lane.id, lane) for needs, lane in store.lanes_for(sorted(wanted)).items()}

    def _load_gates(self, gate_ids: Iterable[int]) -> None:
        unknown = sorted({gate_id for gate_id in gate_ids if gate_id not in self._gates})
        if unknown:
            self._know(store.gates_by_id(unknown))

    def _know(self, gates: list[Gate]) -> list[Gate]:
        for gate in gates:
            self._gates[gate.id] = gate
            self._stored_use[gate.id] = gate.in_use
        return gates

    def _note(self, gate_ids: Iterable[int]) -> None:
        """Remember which shared gates changed, for those who watch."""
        for gate_id in gate_ids:
            gate = self.gate(gate_id)
            if gate.kind not in PRIVATE_KINDS:
                self.topics.add(f"gate:{gate.key}")
