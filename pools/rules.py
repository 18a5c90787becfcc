"""Does it fit, and who is next: the decisions, in plain Python.

Nothing here knows a database, a clock or a run. `claims` carries the decisions out, and `reasons` explains
waits with the same comparisons, so an explanation can't differ from the decision.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

# The kinds of gates, in the order in which a candidate meets them. The first full one is named first.
KINDS = ("runs", "run_tag", "pool", "workers", "executor", "executor_tag")
# Gates of one run. They are not part of a lane: a thousand runs must not make a thousand lanes.
PRIVATE_KINDS = frozenset({"executor", "executor_tag"})
SHARED_KINDS = tuple(kind for kind in KINDS if kind not in PRIVATE_KINDS)
# A gate in words, by its kind; {} is its label.
NAMES = {
    "runs": "the run queue",
    "run_tag": "run limit {}",
    "pool": "pool {}",
    "workers": "queue {}",
    "executor": "this run's executor",
    "executor_tag": "tag limit {} of this run",
}
# What is waited for beside gates.
OTHER_NAMES = {"prospects": "the pools of its first ops", "gone": "a limit that is gone"}
# Gates that say how much can run, not how much may: nobody reserves or promises anything on them.
WORKERS = "workers"

Needs = tuple[tuple[int, int], ...]  # (gate id, slots), in the order of KINDS
Prospects = tuple[tuple[int, ...], ...]  # sets of gates, see Lane
Place = tuple[int, datetime, int, int]  # sorts candidates into one order
BEFORE_ALL: Place = (-(2**63), datetime.min.replace(tzinfo=UTC), 0, 0)


@dataclass(frozen=True)
class GateSpec:
    """How a gate is born, if it is not there yet. A pool's limit is read from its settings instead."""

    kind: str
    key: str
    label: str
    limit: int | None = None
    family: str = ""


@dataclass(frozen=True)
class Need:
    """Some slots at one gate."""

    gate: GateSpec
    slots: int = 1


@dataclass(frozen=True)
class Reservation:
    """Slots of a gate that are kept for a candidate whom others have overtaken for too long.

    It binds those of equal or lower priority. `asks`: the candidate will ask for more slots while it holds
    these (a run, for its ops); its reservation binds only others of its kind, else the two would wait for each other.
    """

    holder: str
    slots: int
    priority: int
    asks: bool = False

    def binds(self, candidate: Candidate) -> bool:
        if candidate.holder == self.holder or candidate.priority > self.priority:
            return False
        return not self.asks or kind_of(candidate.holder) == kind_of(self.holder)


@dataclass(frozen=True)
class Pause:
    """What is said of a pause to those who wait for its end. `until` None: somebody ends it."""

    by: str
    until: datetime | None = None
    reason: str = ""

    @property
    def in_words(self) -> str:
        """by ann until 14:30 UTC: maintenance"""
        by = f" by {self.by}" if self.by else ""
        until = f" until {time_of_day(self.until)}" if self.until else ""
        return f"{by}{until}" + (f": {self.reason}" if self.reason else "")


def time_of_day(moment: datetime) -> str:
    """A time that is not far away, in UTC."""
    return f"{moment.astimezone(UTC):%H:%M} UTC"


@dataclass
class Gate:
    """A gate as it stands at this moment of a decision."""

    id: int
    kind: str
    key: str
    label: str
    limit: int | None
    in_use: int
    paused: bool = False
    holds_back: bool = False  # whether waiters stand beside the line because of this gate
    reservation: Reservation | None = None
    pause: Pause | None = None  # for explanations; a decision does not ask why it is paused

    def blocks(self, slots: int, kept: int = 0) -> bool:
        """Whether a candidate that needs `slots` here must wait. `kept` slots are not for it."""
        return self.paused or (self.limit is not None and self.in_use + slots + kept > self.limit)

    def kept_from(self, candidate: Candidate) -> int:
        """How many slots are reserved for somebody before whom this candidate must wait."""
        return self.reservation.slots if self.reservation and self.reservation.binds(candidate) else 0

    def has_to_spare(self, waited_for: int, buffer: int) -> bool:
        """Whether slots are left over by all who wait for them (`waited_for`), or `buffer` more may be asked."""
        return not self.paused and (self.limit is None or self.limit - self.in_use - waited_for + buffer > 0)

    @property
    def name(self) -> str:
        """The gate in words: "pool database"."""
        return name_of(self.kind, self.label)

    @property
    def full(self) -> bool:
        """Whether nobody at all fits."""
        return self.blocks(1)


@dataclass
class Lane:
    """A line of candidates with the same needs at shared gates.

    With `prospects`, its candidates start only while all gates of at least one set have slots to spare.
    Nothing is taken of those: they are what the candidate is going to ask for (the pools of a run's root ops).
    """

    id: int
    needs: Needs
    blocked_on: int | None = None
    prospects: Prospects = ()
    without_prospect: bool = False  # its needs have room, and no prospect is open


@dataclass(frozen=True)
class Candidate:
    """Who waits for slots: an op, a run, or any outside code."""

    id: int
    holder: str
    lane: int
    priority: int
    since: datetime
    number: int
    private: Needs = ()

    @property
    def place(self) -> Place:
        """The place in line: priority, higher first; then the time; then the holder's number.

        The number orders those that became candidates together, and whoever returns to its place.
        """
        return (-self.priority, self.since, self.number, self.id)


class Board(Protocol):
    """What a decision reads and writes. `claims.Desk` is one on a database, the tests have one in memory."""

    def gate(self, gate_id: int) -> Gate: ...

    def looks(self) -> Sequence[tuple[Lane, Candidate | None]]:
        """The lanes to look at since the last call, each with the first in its line (None: nobody)."""

    def look_again(self, lane: Lane) -> None:
        """Return this lane by the next `looks`."""

    @property
    def horizon(self) -> Place | None:
        """The place up to which `looks` has left nobody out; None: it has left out nobody at all.

        BEFORE_ALL, when it returned nothing though there was something to look at.
        """

    def leave(self, lanes: Sequence[Lane]) -> None:
        """Leave these lanes, too, to a later decision."""

    def park(self, lane: Lane, gate: Gate | None) -> None:
        """Note that the lane waits for this gate, or for nothing because nobody is in line."""

    def has_to_spare(self, gate_id: int) -> bool:
        """Whether a gate that is a prospect has slots to spare (`Gate.has_to_spare`)."""

    def park_without_prospect(self, lane: Lane) -> None:
        """Note that the lane waits until one of its prospects opens."""

    def admit(self, candidate: Candidate, needs: Needs) -> None:
        """Take the slots, remove the candidate from its line, and tell its holder."""

    def hold_back(self, candidate: Candidate, gate: Gate) -> None:
        """Take the candidate out of the line until this gate of its own run has room."""

    def bring_back(self, gate: Gate, lane_id: int) -> None:
        """Put the best candidate that this gate holds back in this lane into the line again."""


def in_order(needs: Iterable[tuple[Gate, int]]) -> Needs:
    """Needs in the order in which gates are met and named."""
    ordered = sorted(needs, key=lambda need: (KINDS.index(need[0].kind), need[0].id))
    return tuple((gate.id, slots) for gate, slots in ordered)


def name_of(kind: str, label: str) -> str:
    """What is waited for, in words: "pool database"."""
    return (NAMES | OTHER_NAMES)[kind].format(label)


def kind_of(holder: str) -> str:
    """The kind of a holder: "op" of "op:41"."""
    return holder.partition(":")[0]


def first_blocking(needs: Needs, gate: Callable[[int], Gate], candidate: Candidate | None = None) -> Gate | None:
    """The first gate, in the order of KINDS, without room for these needs; None: all have room.

    With a candidate, slots that are reserved for somebody else are no room for it.
    """
    for gate_id, slots in needs:
        at = gate(gate_id)
        if at.blocks(slots, at.kept_from(candidate) if candidate else 0):
            return at
    return None


def is_open(prospects: Prospects, has_to_spare: Callable[[int], bool]) -> bool:
    """Whether all gates of at least one set have slots to spare; without sets there is nothing to wait for."""
    return not prospects or any(all(has_to_spare(gate_id) for gate_id in gates) for gates in prospects)


Holders = Callable[[int], Iterable[tuple[Place, bool]]]  # of a gate: the place in line of each, and whether it asks


def was_overtaken(candidate: Candidate, needs: Needs, gate: Callable[[int], Gate], holders: Holders) -> bool:
    """Whether every gate that blocks a candidate now, workers aside, is held by somebody who came behind it in line."""
    blocked = [
        gate_id
        for gate_id, slots in (*needs, *candidate.private)
        if gate(gate_id).kind != WORKERS and gate(gate_id).blocks(slots)
    ]
    return bool(blocked) and all(any(place > candidate.place for place, _ in holders(at)) for at in blocked)


def can_reserve(candidate: Candidate, needs: Needs, gate: Callable[[int], Gate], holders: Holders) -> bool:
    """Whether slots may be kept for a candidate: it would start if its gates emptied, and they will.

    A holder that asks for more while it holds (a run, for its ops) might be waiting for what would be kept.
    """
    for gate_id, slots in (*needs, *candidate.private):
        at = gate(gate_id)
        if at.paused or (at.limit is not None and at.limit < slots):
            return False
    pools = [gate_id for gate_id, _ in needs if gate(gate_id).kind == "pool"]
    return not any(asks for gate_id in pools for _, asks in holders(gate_id))


def settle(board: Board) -> None:
    """Admit whoever may start now, in one order over all lines: priority, then time.

    1. Look at every lane that a change could have helped, the best head of them all first.
    2. A head that fits at every gate is admitted. One that a shared gate blocks parks its whole lane
       there: all in the lane have the same needs. One that a gate of its own run blocks steps beside the
       line, so that the next in line gets its turn. A reservation or a lack of prospects parks the lane, too:
       whoever stands behind the head has no higher priority, and the same prospects.
    3. After an admission or a step aside, the lane's next head takes its turn in the same order.

    One order over all lanes, and not gate by gate, because a lesser candidate could take the last worker.
    Every lane looked at ends up parked, empty, or with its head admitted: none is left with room for it.
    A board may leave out those at the end of the line. Nobody behind its horizon is admitted: whoever was left out
    might come before.
    """
    line: list[tuple[Place, int]] = []
    heads: dict[int, tuple[Lane, Candidate]] = {}
    while True:
        for lane, head in board.looks():
            heads.pop(lane.id, None)
            if head is None:
                board.park(lane, None)
            else:
                heads[lane.id] = (lane, head)
                heapq.heappush(line, (head.place, lane.id))
        if not line:
            return
        place, lane_id = heapq.heappop(line)
        if lane_id not in heads or heads[lane_id][1].place != place:
            continue  # this lane has been looked at again since
        if board.horizon is not None and place > board.horizon:
            board.leave([lane for lane, _ in heads.values()])
            return
        lane, first = heads.pop(lane_id)
        full = first_blocking(lane.needs, board.gate, first)
        if full is not None:
            board.park(lane, full)
            continue
        if not is_open(lane.prospects, board.has_to_spare):
            board.park_without_prospect(lane)
            continue
        full = first_blocking(first.private, board.gate)
        if full is not None:
            full.holds_back = True
            board.hold_back(first, full)
        else:
            board.admit(first, lane.needs)
        left_the_line(board, first)
        full = first_blocking(lane.needs, board.gate)
        if full is not None:
            board.park(lane, full)  # without asking who is next: it needs the same
        else:
            board.look_again(lane)


def left_the_line(board: Board, candidate: Candidate) -> None:
    """Let the next one that a gate of the same run holds back in the same lane return, while there is room.

    Only one returns at a time, so that a run with ten thousand ops costs what a run with ten does; the
    next one follows when this one has left the line, whatever the reason.
    """
    for gate_id, _ in candidate.private:
        gate = board.gate(gate_id)
        if gate.holds_back and not gate.full:
            board.bring_back(gate, candidate.lane)
