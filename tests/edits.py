"""Limits that are edited while work goes on, what they may have been at each instant, and whether they held."""

from __future__ import annotations

import random
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import accumulate

Span = tuple[datetime, datetime, int]  # from, to, slots


class Limit:
    """A limit that is edited: what it may have been at each instant, for an edit takes effect within its call.

    Of an edit that raised nobody knows whether it was made: both limits may have been in force until the next.
    """

    def __init__(self, write: Callable[[int], object], choices: Iterable[int]) -> None:
        self._write, self._choices = write, list(choices)
        self._values: list[tuple[datetime, datetime | None, int]] = []
        self._lock = threading.Lock()

    def set(self, value: int) -> None:
        begun = datetime.now(UTC)
        with self._lock:
            self._values.append((begun, None, value))
        self._write(value)
        done = datetime.now(UTC)
        with self._lock:
            *before, made = self._values
            self._values = [(since, until or done, earlier) for since, until, earlier in before] + [made]

    def edit(self, chance: random.Random) -> None:
        self.set(chance.choice(self._choices))

    def open(self) -> None:
        self.set(max(self._choices))

    def at(self, moment: datetime) -> int:
        """The largest that it may have been."""
        with self._lock:
            return max(v for since, until, v in self._values if since <= moment and (until is None or moment <= until))


def broken(spans: Iterable[Span], limit: Callable[[datetime], int]) -> list[str]:
    """Whoever was let in fitted, with all who were in, under the limit of that instant. Says where it was not so."""
    spans = sorted(spans)
    ends = sorted((end, slots) for _, end, slots in spans)
    moments = [end for end, _ in ends]
    gone_before = list(accumulate((slots for _, slots in ends), initial=0))
    said, came = [], 0
    for number, (begin, _, slots) in enumerate(spans):
        came += slots
        if number + 1 < len(spans) and spans[number + 1][0] == begin:
            continue  # who comes at the same instant is counted first
        in_use = came - gone_before[bisect_right(moments, begin)]
        if slots and in_use > limit(begin):
            said.append(f"{in_use} in use at {begin}, limit {limit(begin)}")
    return said
