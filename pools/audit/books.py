"""The two books that an audit compares, and what it says when they differ. Plain Python.

`Books` is what the engine has written: gates, lanes, waiters, holds. `Says` is what a holder says that it should have.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from pools.rules import PRIVATE_KINDS, Candidate, Gate, Lane, Need


@dataclass(frozen=True)
class Finding:
    """Something that is not as it must be.

    `evidence` are the facts that show it, as they were read: JSON, and no age, so that the same facts seen again are
    the same finding. `remedy` says what a repair does.
    """

    kind: str
    subject: str  # "gate pool:database", "op:41"
    text: str
    remedy: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Names this finding and no other, not even the same with other numbers."""
        facts = json.dumps([self.kind, self.subject, dict(self.evidence)], sort_keys=True)
        return sha256(facts.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class GateRow:
    """A gate, and what was set for it: `wanted`, None if nobody knows of it any more."""

    gate: Gate
    cap: int | None
    family: str
    wanted: Wanted | None = None


@dataclass(frozen=True)
class Wanted:
    """The limit that a gate should have, and who says so: "pool database is set to 2"."""

    limit: int | None
    says: str
    paused: bool = False


@dataclass(frozen=True)
class LaneRow:
    """A lane with the first in its line, and the rows by which it is found from its gates."""

    lane: Lane
    dirty: bool
    head: Candidate | None
    named: frozenset[tuple[int, int]]
    looked_at: frozenset[int]


@dataclass(frozen=True)
class AsideRow:
    """Those of a lane whom a gate of their own run holds back. `fellow`: whether one in line needs that gate, too."""

    gate: int
    lane: int
    count: int
    fellow: bool


@dataclass(frozen=True)
class HoldRow:
    """That somebody holds slots."""

    gate: int
    holder: str
    slots: int
    token: int
    since: datetime
    lease_until: datetime | None


@dataclass(frozen=True)
class WaiterRow:
    """That somebody stands in line."""

    holder: str
    priority: int
    since: datetime


@dataclass(frozen=True)
class Books:
    """What the engine has written, all at one moment.

    Of the waiters only those that are asked for, beside those of whom slots are reserved: there may be very many.
    """

    gates: Mapping[int, GateRow]
    lanes: Sequence[LaneRow] = ()
    aside: Sequence[AsideRow] = ()
    holds: Sequence[HoldRow] = ()
    waiters: Sequence[WaiterRow] = ()
    waited_for: Mapping[int, int] = field(default_factory=dict)  # slots, by gates that are prospects
    check_at_queue: bool = True
    run_buffer: int = 0

    def gate(self, gate_id: int) -> Gate:
        return self.gates[gate_id].gate

    def name(self, gate_id: int) -> str:
        """A gate in words; of many gates with the same words, with its key."""
        row = self.gates.get(gate_id)
        if row is None:
            return f"gate {gate_id}, which is gone"
        return f"{row.gate.name} ({row.gate.key})" if row.gate.kind in PRIVATE_KINDS else row.gate.name

    def key(self, gate_id: int) -> str:
        row = self.gates.get(gate_id)
        return row.gate.key if row else f"#{gate_id}"

    @property
    def in_use(self) -> dict[int, int]:
        """The sums of the holds."""
        found: dict[int, int] = defaultdict(int)
        for hold in self.holds:
            found[hold.gate] += hold.slots
        return found

    def held_by(self) -> dict[str, list[HoldRow]]:
        """The holds of each holder."""
        found: dict[str, list[HoldRow]] = defaultdict(list)
        for hold in self.holds:
            found[hold.holder].append(hold)
        return found


@dataclass(frozen=True)
class Says:
    """What a holder says that it should have.

    `needs`: the slots that it holds; `besides`: the keys of gates that it may hold, too. `place`: the priority and the
    time with which it stands in line; None: it does not wait.
    """

    text: str  # "op load of run 7f3a91c2 is running"
    needs: Sequence[Need] = ()
    token: int | None = None  # None: any
    place: tuple[int, datetime] | None = None
    besides: frozenset[str] = frozenset()

    @property
    def holds(self) -> dict[str, int]:
        """The slots that it holds, by the keys of gates."""
        return {need.gate.key: need.slots for need in self.needs}
