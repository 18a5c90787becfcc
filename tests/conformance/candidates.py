"""Who waits and who holds in a scenario: runs and their ops, and their one order."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.conformance.story import JobText, OpText

PRIORITY = "dagster/priority"
UNFINISHED = {"pending", "ready", "admitted", "running", "up_for_retry"}
HOLDS = {"admitted", "running", "started", "canceling"}


@dataclass
class Run:
    name: str
    job: JobText
    tags: dict[str, str]
    since: int
    number: int
    asked: int = 0  # seconds on the clock when it became a candidate
    state: str = "queued"
    started: bool = False
    ops: list[Op] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)  # pools of granularity run when it started

    @property
    def priority(self) -> int:
        try:
            return int(self.tags.get(PRIORITY, 0))
        except ValueError:
            return 0

    @property
    def pools(self) -> dict[str, int]:
        """Every pool that any of its ops uses, with the largest weight asked."""
        found: dict[str, int] = {}
        for op in self.ops:
            for pool, slots in op.text.pools.items():
                found[pool] = max(slots, found.get(pool, 0))
        return found


@dataclass
class Op:
    run: Run
    text: OpText
    number: int
    state: str = "pending"
    since: int = 0
    asked: int = 0
    attempt: int = 0
    crashes: int = 0

    @property
    def name(self) -> str:
        return f"{self.run.name}.{self.text.key}"

    @property
    def priority(self) -> int:
        return self.run.priority + self.text.priority


Candidate = Run | Op


def place(candidate: Candidate) -> tuple[int, int, int]:
    """Priority, higher first; the time it became a candidate; birth."""
    return (-candidate.priority, candidate.since, candidate.number)
