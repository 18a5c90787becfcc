"""The history of a pool, and of the deployment: samples and changes of a range of time, as charts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from controlplane.dashboard.charts import figures
from controlplane.dashboard.charts.figures import PERCENTILES, Figure, Past, Words
from controlplane.dashboard.charts.picture import HALF
from controlplane.dashboard.charts.ranges import DAY_BY_HOURS, RANGES, Range, Window
from pools import queries, samples
from pools.models import Change, Sample
from pools.samples import Peak, Span, histogram
from runs.sampling import OPS, POOL, RUNS, SLOTS

RUN_WORDS = Words("Runs in progress and queued", "in progress", "maximum", "queued")
OP_WORDS = Words("Busy workers and waiting ops", "busy workers", "living workers", "ops waiting")

MOST_POOLS = 24
MOST_CHOICES = 200  # pools to tick; others are written
MOST_MARKS = 20
COLUMNS = ("from", "seconds", "in_use", "limit", "waiting", "had_to_wait")


class NoSuchRange(ValueError):
    """An address names a range that there is not."""

    def __init__(self, key: str) -> None:
        super().__init__(f"range: {key!r} is not one of {', '.join(RANGES)}.")


def range_of(key: str, otherwise: str) -> Range:
    """The range of this name. Raises NoSuchRange."""
    if (key or otherwise) not in RANGES:
        raise NoSuchRange(key)
    return RANGES[key or otherwise]


@dataclass(frozen=True)
class PoolHistory:
    """What is shown of a pool: use, waits, the percentiles of the whole, and what was changed."""

    window: Window
    use: Figure
    waits: Figure
    told: Sequence[str]  # see figures.percentiles
    told_before: Sequence[str]  # the same of a week ago; nothing: not compared
    changes: Sequence[Change]


def of_pool(name: str, wanted: Range, compared: bool = False) -> PoolHistory:
    """The history of a pool; compared: beside that of a week earlier. Two or three queries."""
    window = _window(wanted)
    found = samples.history(Span(window.start, wanted.sample, (POOL + name,)))
    changes = queries.changes_since(datetime.fromtimestamp(window.start, UTC), f"pool:{name}")
    past = _week_before(window, POOL + name) if compared else None
    return PoolHistory(
        window,
        figures.use("use", found, window, Words(), changes, past=past),
        figures.waits("waits", found, window, "Time waited for it", past=past),
        figures.percentiles(figures.whole(found)),
        figures.percentiles(figures.whole(past.levels)) if past else (),
        changes,
    )


def use_of_pool(name: str, changes: Iterable[Change]) -> Figure:
    """The last hour of a pool, with those of its newest changes that fall into it. One query."""
    window = _window(RANGES["1h"])
    found = samples.history(Span(window.start, window.range.sample, (POOL + name,)))
    return figures.use("use", found, window, Words(), changes)


@dataclass(frozen=True)
class Glance:
    """The last hours on the overview: who waited, changes of pools, and peaks for sparklines."""

    lines: Figure
    window: Window
    hours: Window  # that of the pools' peaks
    peaks: Mapping[str, Sequence[Peak]]


def at_a_glance(pools: Iterable[str]) -> Glance:
    """The last 24 hours of the deployment and of these pools; of a younger one, what there is. Two or three queries."""
    wanted, hours = _window(RANGES["24h"]), _window(DAY_BY_HOURS)
    spans = [_of_all(wanted)]
    if names := tuple(POOL + name for name in pools):
        spans.append((Span(hours.start, hours.range.sample, names), hours.range.slot))
    peaks = samples.peaks(*spans)
    if closer := _closer(peaks.get(OPS, ())):
        wanted = closer
        peaks |= samples.peaks(_of_all(closer))
    changes = queries.changes_since(datetime.fromtimestamp(wanted.start, UTC), POOL, most=MOST_MARKS)
    lines = figures.lines("lines-chart", peaks.get(OPS, ()), peaks.get(RUNS, ()), wanted, changes)
    return Glance(lines, wanted, hours, peaks)


def _of_all(window: Window) -> tuple[Span, int]:
    return Span(window.start, window.range.sample, (RUNS, OPS, SLOTS)), window.range.slot


def _closer(peaks: Sequence[Peak]) -> Window | None:
    """A shorter range that shows all of a young deployment: in a day, its first hour is a line."""
    windows = (_window(RANGES[key]) for key in ("1h", "6h"))
    return next((window for window in windows if peaks and peaks[0].at >= window.start), None)


@dataclass(frozen=True)
class Multiple:
    """A pool among others: its peaks, and those of a week ago if they are compared."""

    name: str
    peaks: Sequence[Peak]
    window: Window
    before: Sequence[Peak]
    window_before: Window


@dataclass(frozen=True)
class History:
    """What is shown of the deployment."""

    window: Window
    runs: Figure
    ops: Figure
    run_waits: Figure
    op_waits: Figure
    pools: Sequence[Multiple]
    more: int  # pools that are not shown
    choices: Sequence[str]  # pools to choose from, by name


def of_deployment(wanted: Range, picked: Sequence[str] = (), compared: bool = False) -> History:
    """The history of the deployment and of its pools, or of those that are picked; compared: beside that of a week
    earlier. Four queries, and two more to compare.
    """
    window = _window(wanted)
    found = samples.history(Span(window.start, wanted.sample, (RUNS, OPS)))
    runs, ops = ([row for row in found if row.subject == subject] for subject in (RUNS, OPS))
    changes = queries.changes_since(datetime.fromtimestamp(window.start, UTC), "runs")
    past_runs, past_ops = _week_before_of_all(window) if compared else (None, None)
    pools = _pools(window, picked, compared)
    return History(
        window,
        figures.use("runs", runs, window, RUN_WORDS, changes, HALF, past_runs),
        figures.use("ops", ops, window, OP_WORDS, (), HALF, past_ops),
        figures.waits("run-waits", runs, window, "Time that runs waited for the maximum", HALF, past_runs),
        figures.waits("op-waits", ops, window, "Time that ops waited for a worker", HALF, past_ops),
        pools[:MOST_POOLS],
        max(0, len(pools) - MOST_POOLS),
        queries.pool_names(MOST_CHOICES),
    )


def _week_before_of_all(window: Window) -> tuple[Past, Past]:
    past = _week_before(window, RUNS, OPS)
    runs, ops = ([row for row in past.levels if row.subject == subject] for subject in (RUNS, OPS))
    return Past(runs, past.window), Past(ops, past.window)


def _week_before(window: Window, *subjects: str) -> Past:
    then = window.week_before
    return Past(samples.history(Span(then.start, then.range.sample, subjects, then.end)), then)


def _pools(window: Window, picked: Sequence[str], compared: bool) -> list[Multiple]:
    """All pools, those with the longest lines first; or those that are picked, as they were picked."""
    then = window.week_before
    subjects = tuple(POOL + name for name in picked) or (POOL,)
    now = _peaks(window, subjects)
    before = _peaks(then, subjects) if compared else {}
    names = picked or [subject.removeprefix(POOL) for subject in now]
    pools = [Multiple(name, now.get(POOL + name, ()), window, before.get(POOL + name, ()), then) for name in names]
    return pools if picked else sorted(pools, key=_busiest_first)


def _peaks(window: Window, subjects: tuple[str, ...]) -> dict[str, list[Peak]]:
    return samples.peaks((Span(window.start, window.range.sample, subjects, window.end), window.range.period))


def _busiest_first(pool: Multiple) -> tuple[int, int, str]:
    return -max(peak.waiting for peak in pool.peaks), -max(peak.in_use for peak in pool.peaks), pool.name


def _window(wanted: Range) -> Window:
    return wanted.window(timezone.now().timestamp())


def as_csv(name: str, wanted: Range) -> Iterator[str]:
    """The samples of a pool as lines of CSV, times in UTC."""
    window = _window(wanted)
    writer = csv.writer(_Line())
    yield writer.writerow(
        ["from", "seconds", "in_use", "limit", "waiting", "had_to_wait", *(p for p, _ in PERCENTILES)]
    )
    for sample in samples.history(Span(window.start, wanted.sample, (POOL + name,))):
        yield writer.writerow(_cells(sample))


def _cells(sample: Sample) -> Iterable[object]:
    waits = histogram.from_text(sample.waits)
    quantiles = [histogram.quantile(waits, part) for _, part in PERCENTILES]
    return [
        datetime.fromtimestamp(sample.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        sample.step,
        sample.in_use,
        "" if sample.limit is None else sample.limit,
        sample.waiting,
        histogram.count(waits),
        *("" if value is None else f"{value:.4g}" for value in quantiles),
    ]


class _Line:
    """What a csv writer writes to: it hands the line on."""

    def write(self, line: str) -> str:
        return line
