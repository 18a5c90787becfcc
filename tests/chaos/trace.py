"""What ops say of themselves: that they are at work, all the time, in one file. So nobody has to believe the database.

Standard library only: the ops write it too.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CHAOS_TRACE"  # names the file
TICK = 0.05  # seconds between two lines
GAP = 0.5  # seconds without a line after which an op was not at work, but paused


@dataclass(frozen=True)
class Worked:
    """One process that ran one op, and the moments at which it said that it was at work."""

    run: str
    op: str
    pid: int
    moments: Sequence[float]

    def stretches(self, until: float = float("inf")) -> list[tuple[float, float]]:
        """The times from when to when it was at work without a pause."""
        found: list[tuple[float, float]] = []
        for moment in self.moments:
            if moment > until:
                break
            if found and moment - found[-1][1] < GAP:
                found[-1] = (found[-1][0], moment)
            else:
                found.append((moment, moment))
        return found


def work(run: str, op: str, seconds: float) -> None:
    """Be at work for so long; a pause does not count. Whoever appends a line to the file does so in one piece."""
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        for _ in range(round(seconds / TICK)):
            os.write(file, f"{run} {op} {os.getpid()} {time.time():.6f}\n".encode())
            time.sleep(TICK)
        os.write(file, f"{run} {op} {os.getpid()} {time.time():.6f}\n".encode())
    finally:
        os.close(file)


def read(path: Path) -> list[Worked]:
    """What all processes said, in the order in which they began."""
    said: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for line in path.read_text().splitlines() if path.exists() else ():
        run, op, pid, moment = line.split()
        said[run, op, int(pid)].append(float(moment))
    return [Worked(*who, moments) for who, moments in said.items()]
