"""The ranges of time that charts show, and the steps in which they show them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from controlplane.dashboard.charts.geometry import DAY, HOUR, MINUTE

WEEK = 7 * DAY


@dataclass(frozen=True)
class Range:
    """A range by its name in an address, with the samples it is made from. All in seconds.

    Curves go in steps of `slot`, at most 300; percentiles, and tables, in those of `period`.
    """

    key: str
    words: str
    seconds: int
    sample: int
    slot: int
    period: int

    def window(self, now: float) -> Window:
        """The range that ends now: at the end of the slot that goes on."""
        end = (int(now) // self.slot + 1) * self.slot
        return Window(self, end - self.seconds, end)


@dataclass(frozen=True)
class Window:
    """A range at a time."""

    range: Range
    start: int
    end: int

    @property
    def count(self) -> int:
        """How many slots it has."""
        return (self.end - self.start) // self.range.slot

    @property
    def week_before(self) -> Window:
        """The same a week earlier, in samples of a minute or longer: finer ones are not kept for a week."""
        seen = replace(self.range, sample=max(MINUTE, self.range.sample), slot=max(MINUTE, self.range.slot))
        return Window(seen, self.start - WEEK, self.end - WEEK)


RANGES = {
    each.key: each
    for each in (
        Range("1h", "the last hour", HOUR, 10, 20, 2 * MINUTE),
        Range("6h", "the last 6 hours", 6 * HOUR, MINUTE, 2 * MINUTE, 10 * MINUTE),
        Range("24h", "the last 24 hours", DAY, MINUTE, 5 * MINUTE, 30 * MINUTE),
        Range("7d", "the last 7 days", 7 * DAY, HOUR, HOUR, 4 * HOUR),
        Range("90d", "the last 90 days", 90 * DAY, HOUR, 8 * HOUR, 2 * DAY),
    )
}

DAY_BY_HOURS = Range("24h", "the last 24 hours", DAY, HOUR, HOUR, HOUR)  # for sparklines of many
