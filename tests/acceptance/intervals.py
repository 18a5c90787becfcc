"""How many of something were in progress at once, by their own times of start and end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def most_at_once(intervals: Iterable[tuple[datetime | None, datetime | None]]) -> int:
    """The number at the busiest moment. One that ends as another starts does not overlap it."""
    changes: list[tuple[datetime, int]] = []
    for start, end in intervals:
        assert start is not None, "it has not started"
        assert end is not None, "it has not ended"
        changes += [(start, 1), (end, -1)]
    busiest = now = 0
    for _, change in sorted(changes):
        now += change
        busiest = max(busiest, now)
    return busiest
