"""What is missing: every condition that applies to a candidate, and whether it is met. Plain Python.

The comparisons are those of `rules`, by which candidates are admitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pools.rules import WORKERS, Candidate, Gate, Needs, Prospects


@dataclass(frozen=True)
class Check:
    """One gate that applies to a candidate: what it needs there and whether there is room.

    `kept` slots of it are reserved for `kept_for`.
    """

    gate: Gate
    slots: int
    kept: int = 0
    kept_for: str = ""

    @property
    def room(self) -> bool:
        return not self.gate.blocks(self.slots, self.kept)

    @property
    def never_fits(self) -> bool:
        """Whether it would not fit even if nobody else held a slot. A limit of 0 is a decision, not a misfit."""
        limit = self.gate.limit
        return limit is not None and self.gate.kind != WORKERS and 0 < limit < self.slots

    @property
    def only_reserved(self) -> bool:
        """Whether there is room but for the reservation."""
        return not self.room and not self.gate.blocks(self.slots)

    @property
    def reason(self) -> str:
        """Why there is no room, in words; empty when there is."""
        gate, limit = self.gate, self.gate.limit
        if self.room:
            return ""
        if gate.paused:
            return "is paused" + (gate.pause.in_words if gate.pause else "")
        if gate.kind == WORKERS and limit == 0:
            return "has no living worker"
        if limit == 0:
            return "is closed: its limit is 0"
        if self.never_fits:
            return f"can never fit: {self.slots} slots of a limit of {limit}"
        if gate.kind == WORKERS:
            return f"has no free worker: {gate.in_use} of {limit} busy"
        if self.only_reserved:
            slots = "a slot" if self.kept == 1 else f"{self.kept} slots"
            return f"keeps {slots} for one that was overtaken too long: {gate.in_use} of {limit} in use"
        if self.slots > 1:
            return f"has no room for {self.slots}: {gate.in_use} of {limit} in use"
        return f"is full: {gate.in_use} of {limit} in use"


@dataclass(frozen=True)
class Prospect:
    """A gate at which a candidate will ask for slots once it has started, and how many wait for them already."""

    gate: Gate
    waited_for: int
    buffer: int

    @property
    def room(self) -> bool:
        return self.gate.has_to_spare(self.waited_for, self.buffer)


@dataclass(frozen=True)
class Explanation:
    """Every gate that applies to a candidate, in order. The first without room is why it waits.

    With `prospects`, at least one set of them must have room throughout, too.
    """

    checks: Sequence[Check]
    prospects: Sequence[Sequence[Prospect]] = ()

    @property
    def blocking(self) -> list[Check]:
        """The gates without room."""
        return [check for check in self.checks if not check.room]

    @property
    def without_prospect(self) -> bool:
        """Whether it must wait for a prospect."""
        return bool(self.prospects) and not any(all(entry.room for entry in group) for group in self.prospects)

    @property
    def taken(self) -> list[Prospect]:
        """The gates without room among the prospects, each once; empty while one prospect is open."""
        if not self.without_prospect:
            return []
        return list({entry.gate.id: entry for group in self.prospects for entry in group if not entry.room}.values())


def explain(
    candidate: Candidate,
    needs: Needs,
    gate: Callable[[int], Gate],
    prospects: Prospects = (),
    waited_for: Mapping[int, int] | None = None,
    buffer: int = 0,
) -> Explanation:
    """Compare as `rules.settle` does, but for every gate instead of up to the first without room."""
    checks = []
    for gate_id, slots in needs:
        at = gate(gate_id)
        kept = at.kept_from(candidate)
        checks.append(Check(at, slots, kept, at.reservation.holder if kept and at.reservation else ""))
    for gate_id, slots in candidate.private:
        checks.append(Check(gate(gate_id), slots))
    outlook = [[Prospect(gate(at), (waited_for or {}).get(at, 0), buffer) for at in gates] for gates in prospects]
    return Explanation(checks, outlook)
