"""The slow, obvious model that the engine must agree with: scan all candidates in order, admit the first that fits."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Candidate:
    holder: str
    priority: int
    since: float
    needs: dict[str, int]

    @property
    def place(self) -> tuple:
        return (-self.priority, self.since)


@dataclass
class Model:
    """Gates by key; who waits, who holds."""

    limits: dict[str, int | None] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    waiting: dict[str, Candidate] = field(default_factory=dict)
    holding: dict[str, Candidate] = field(default_factory=dict)

    def in_use(self, gate: str) -> int:
        return sum(candidate.needs.get(gate, 0) for candidate in self.holding.values())

    def fits(self, candidate: Candidate) -> bool:
        return all(
            gate not in self.paused and (self.limits[gate] is None or self.in_use(gate) + slots <= self.limits[gate])
            for gate, slots in candidate.needs.items()
        )

    def ask(self, candidate: Candidate) -> None:
        self.waiting[candidate.holder] = candidate

    def settle(self) -> None:
        while True:
            fitting = (c for c in sorted(self.waiting.values(), key=lambda c: c.place) if self.fits(c))
            first = next(fitting, None)
            if first is None:
                return
            del self.waiting[first.holder]
            self.holding[first.holder] = first
