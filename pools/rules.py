"""Does it fit, who is next, what is missing: the decisions, in plain Python.

Nothing here knows a database, a clock or a run. `claims.py` carries the decisions out, and the pages
explain waits with the same functions, so an explanation can't differ from the decision.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

# The kinds of gates, in the order in which a candidate meets them. The first full one is named first.
KINDS = ("runs", "run_tag", "pool", "workers", "executor", "executor_tag")
# Gates of one run. They are not part of a lane: a thousand runs must not make a thousand lanes.
PRIVATE_KINDS = frozenset({"executor", "executor_tag"})
# A gate in words, by its kind; {} is its label.
NAMES = {
    "runs": "the run queue",
    "run_tag": "run limit {}",
    "pool": "pool {}",
    "workers": "queue {}",
    "executor": "this run's executor",
    "executor_tag": "tag limit {} of this run",
}
# Gates that say how much can run, not how much may: nobody reserves or promises anything on them.
WORKERS = "workers"

Needs = tuple[tuple[int, int], ...]  # (gate id, slots), in the order of KINDS
Place = tuple[int, datetime, int, int]  # sorts candidates into one order


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

    def blocks(self, slots: int) -> bool:
        """Whether a candidate that needs `slots` here must wait."""
        return self.paused or (self.limit is not None and self.in_use + slots > self.limit)

    @property
    def name(self) -> str:
        """The gate in words: "pool database"."""
        return NAMES[self.kind].format(self.label)

    @property
    def full(self) -> bool:
        """Whether nobody at all fits."""
        return self.blocks(1)


@dataclass
class Lane:
    """A line of candidates with the same needs at shared gates."""

    id: int
    needs: Needs
    blocked_on: int | None = None


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
    def tired(self) -> bool:
        """Whether `looks` left something out: nobody may be admitted before it has been looked at."""

    def leave(self, lanes: Sequence[Lane]) -> None:
        """Leave these lanes, too, to a later decision."""

    def park(self, lane: Lane, gate: Gate | None) -> None:
        """Note that the lane waits for this gate, or for nothing because nobody is in line."""

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


def first_blocking(needs: Needs, gate: Callable[[int], Gate]) -> Gate | None:
    """The first gate, in the order of KINDS, without room for these needs; None: all have room."""
    for gate_id, slots in needs:
        at = gate(gate_id)
        if at.blocks(slots):
            return at
    return None


def settle(board: Board) -> None:
    """Admit whoever may start now, in one order over all lines: priority, then time.

    1. Look at every lane that a change could have helped, the best head of them all first.
    2. A head that fits at every gate is admitted. One that a shared gate blocks parks its whole lane
       there: all in the lane have the same needs. One that a gate of its own run blocks steps beside the
       line, so that the next in line gets its turn.
    3. After an admission or a step aside, the lane's next head takes its turn in the same order.

    One order over all lanes, and not gate by gate, because a lesser candidate could take the last worker.
    Every lane looked at ends up parked, empty, or with its head admitted: none is left with room for it.
    A board that tires is left at once: whoever is next might be among those it did not look at.
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
        if board.tired:
            board.leave([lane for lane, _ in heads.values()])
            return
        if not line:
            return
        place, lane_id = heapq.heappop(line)
        if lane_id not in heads or heads[lane_id][1].place != place:
            continue  # this lane has been looked at again since
        lane, first = heads.pop(lane_id)
        full = first_blocking(lane.needs, board.gate)
        if full is not None:
            board.park(lane, full)
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


@dataclass(frozen=True)
class Check:
    """One gate that applies to a candidate: what it needs there and whether there is room."""

    gate: Gate
    slots: int

    @property
    def room(self) -> bool:
        return not self.gate.blocks(self.slots)

    @property
    def never_fits(self) -> bool:
        """Whether it would not fit even if nobody else held a slot. A limit of 0 is a decision, not a misfit."""
        limit = self.gate.limit
        return limit is not None and self.gate.kind != WORKERS and 0 < limit < self.slots

    @property
    def reason(self) -> str:
        """Why there is no room, in words; empty when there is."""
        gate, limit = self.gate, self.gate.limit
        if self.room:
            return ""
        if gate.paused:
            return "is paused"
        if gate.kind == WORKERS and limit == 0:
            return "has no living worker"
        if limit == 0:
            return "is closed: its limit is 0"
        if self.never_fits:
            return f"can never fit: {self.slots} slots of a limit of {limit}"
        if gate.kind == WORKERS:
            return f"has no free worker: {gate.in_use} of {limit} busy"
        if self.slots > 1:
            return f"has no room for {self.slots}: {gate.in_use} of {limit} in use"
        return f"is full: {gate.in_use} of {limit} in use"


@dataclass(frozen=True)
class Explanation:
    """Every gate that applies to a candidate, in order. The first without room is why it waits."""

    checks: Sequence[Check]
    held_by: Gate | None = field(default=None)

    @property
    def blocking(self) -> list[Check]:
        return [check for check in self.checks if not check.room]


def explain(needs: Needs, private: Needs, gate: Callable[[int], Gate]) -> Explanation:
    """The same comparison as `settle` makes, for every gate instead of up to the first full one."""
    return Explanation([Check(gate(gate_id), slots) for gate_id, slots in (*needs, *private)])
