"""Where things stand in a chart: values of equal steps as paths, and the ticks of axes. Knows no pixels of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

Series = Sequence[float | None]  # one value a step; None: not known

MINUTE, HOUR, DAY = 60, 3600, 86400
TIMES = (
    MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY,
)  # fmt: skip
DURATIONS = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE,
    30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY,
)  # fmt: skip


@dataclass(frozen=True)
class Area:
    """Where a plot stands in its picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def base(self) -> float:
        return self.top + self.height

    def x(self, part: float) -> float:
        """A place from left (0) to right (1)."""
        return self.left + self.width * part

    def y(self, value: float, most: float) -> float:
        """A value from 0 (the base) to `most` (the top)."""
        return self.base - self.height * value / most


def slots(points: Iterable[tuple[int, float | None]], start: int, width: int, count: int) -> list[float | None]:
    """The largest value in each of so many slots of `width` seconds; None: there is none."""
    most: list[float | None] = [None] * count
    for at, value in points:
        slot = (at - start) // width
        if value is None or not 0 <= slot < count:
            continue
        before = most[slot]
        most[slot] = value if before is None else max(before, value)
    return most


def fewer(series: Series, most: int) -> list[float | None]:
    """The same in no more than so many steps, each the largest of those it stands for."""
    together = -(-len(series) // most)
    parts = (series[at : at + together] for at in range(0, len(series), together))
    return [max((value for value in part if value is not None), default=None) for part in parts]


def line(series: Series, area: Area, most: float) -> str:
    """A path that goes in steps, and breaks off where nothing is known."""
    parts = []
    for known, runs in _stretches(series):
        for index, (value, begin, end) in enumerate(runs if known else ()):
            y = _n(area.y(value or 0, most))
            to = _n(area.x(end / len(series)))
            parts.append(f"V{y}H{to}" if index else f"M{_n(area.x(begin / len(series)))} {y}H{to}")
    return "".join(parts)


def surface(series: Series, area: Area, most: float) -> str:
    """What lies under that path."""
    parts = []
    base = _n(area.base)
    for known, runs in _stretches(series):
        if known:
            steps = "".join(
                f"V{_n(area.y(value or 0, most))}H{_n(area.x(end / len(series)))}" for value, _, end in runs
            )
            parts.append(f"M{_n(area.x(runs[0][1] / len(series)))} {base}{steps}V{base}Z")
    return "".join(parts)


Run = tuple[float | None, int, int]  # a value, the step from which it lasts, the step at which it ends


def _stretches(series: Series) -> list[tuple[bool, list[Run]]]:
    """Runs of equal values, those that are known together and those that are not."""
    runs: list[Run] = []
    at = 0
    for value, group in groupby(series):
        length = len(list(group))
        runs.append((value, at, at + length))
        at += length
    return [(known, list(part)) for known, part in groupby(runs, key=lambda run: run[0] is not None)]


def count_ticks(most: float, parts: int = 4) -> list[float]:
    """Round numbers from 0 up to `most`, at most so many steps."""
    step = next(number * 10**zeros for zeros in range(20) for number in (1, 2, 5) if number * 10**zeros * parts >= most)
    return [float(tick) for tick in range(0, int(most) + 1, step)]


def duration_ticks(most: float, parts: int = 4) -> list[float]:
    """Round spans of time from 0 up to `most` seconds."""
    step = next((step for step in DURATIONS if step * parts >= most), DURATIONS[-1])
    return [step * number for number in range(int(most / step + 1e-9) + 1)]


def time_ticks(start: int, end: int, parts: int) -> list[int]:
    """Round times, in UTC, between two times: at most about so many."""
    step = next((step for step in TIMES if step * parts >= end - start), TIMES[-1])
    first = -(-start // step) * step
    return list(range(first, end + 1, step))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
