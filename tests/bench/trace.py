"""What an op leaves behind: the time of its first and of its last line, in one file that all ops append to.

And what can be read from it: whether the limit held, whether each op ran once, how well slots were used.
Standard library only: the rival's jobs write it too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "BENCH_TRACE"  # names the file


class Broken(Exception):
    """A limit was exceeded, an op was lost or ran twice: whatever else was measured is worth nothing."""


@contextmanager
def written(name: str) -> Iterator[None]:
    """Write when what is inside began and ended. Lines of different processes don't mix: the file is O_APPEND."""
    began = time.time()
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"+ {began:.6f} {name}\n".encode())
    try:
        yield
    finally:
        os.write(file, f"- {time.time():.6f} {name}\n".encode())
        os.close(file)


def nothing(name: str) -> None:
    """The rival's no-op job."""
    with written(name):
        pass


def half_a_second(name: str) -> None:
    """The rival's job of half a second."""
    with written(name):
        time.sleep(0.5)


@dataclass(frozen=True)
class Interval:
    """One execution of one op."""

    name: str
    start: float
    end: float


def read(path: Path) -> tuple[list[Interval], set[str]]:
    """The executions that have ended, by their start, and the names of those that have not. Raises Broken."""
    starts: dict[str, float] = {}
    ended: dict[str, Interval] = {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        sign, moment, name = line.split(" ", 2)
        if sign == "+":
            if name in starts or name in ended:
                raise Broken(f"{name} ran twice")
            starts[name] = float(moment)
        else:
            ended[name] = Interval(name, starts.pop(name), float(moment))
    return sorted(ended.values(), key=lambda interval: interval.start), set(starts)


def most_at_once(intervals: list[Interval]) -> int:
    """How many were in progress at the busiest moment. One that ends as another starts does not overlap it."""
    changes = sorted([(i.start, 1) for i in intervals] + [(i.end, -1) for i in intervals])
    busiest = now = 0
    for _, change in changes:
        now += change
        busiest = max(busiest, now)
    return busiest


def check(intervals: list[Interval], expected: int, limit: int) -> None:
    """Raise Broken if an op was lost or the limit was exceeded. (`read` has seen that none ran twice.)"""
    if len(intervals) != expected:
        raise Broken(f"{len(intervals)} of {expected} ops ran")
    if most_at_once(intervals) > limit:
        raise Broken(f"{most_at_once(intervals)} ops at once under a limit of {limit}")


def utilisation(intervals: list[Interval], limit: int) -> float:
    """Busy slot-seconds over all slot-seconds from the first line to the last."""
    span = max(i.end for i in intervals) - min(i.start for i in intervals)
    return sum(i.end - i.start for i in intervals) / (limit * span)


def hand_offs(intervals: list[Interval], limit: int) -> list[float]:
    """Seconds from an end to the start that took its slot: the k-th start minus the (k - limit)-th end."""
    starts = sorted(i.start for i in intervals)
    ends = sorted(i.end for i in intervals)
    return sorted(start - end for start, end in zip(starts[limit:], ends, strict=False))


def rate(intervals: list[Interval], warm_up: int) -> float:
    """Ops a second, from the end of the `warm_up`-th to the last end."""
    ends = sorted(i.end for i in intervals)
    return (len(ends) - warm_up) / (ends[-1] - ends[warm_up - 1])


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of the (sorted) values don't exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]
