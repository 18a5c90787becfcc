"""What charts tell of samples: their pictures, what they say in a sentence, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controlplane.dashboard.charts import geometry
from controlplane.dashboard.charts.picture import NARROW, WIDE, Curve, Moment, Picture, Plot, Shape, draw
from controlplane.dashboard.charts.ranges import Window
from controlplane.dashboard.templatetags.ledger import delta, subject_name
from pools.models import Change, Sample
from pools.samples import Peak, histogram
from runs.words import duration

PERCENTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))

Levels = Sequence[Sample] | Sequence[Peak]


@dataclass(frozen=True)
class Figure:
    """A chart: pictures of the same for wide and narrow places, and a table."""

    id: str
    title: str
    says: str
    keys: Sequence[tuple[str, str]]  # class of the key, word
    pictures: Sequence[Picture]
    head: Sequence[str]
    rows: Sequence[tuple[datetime, Sequence[str]]]
    begins: datetime | None = None  # when what it shows begins, if that is within the range
    empty: bool = False


def use(
    id: str, levels: Levels, window: Window, words: Words, changes: Iterable[Change] = (), wide: Shape = WIDE
) -> Figure:
    """Use against its limit above, who waits below, and what was changed on the axis."""
    in_use, limit, waiting = (_series(levels, window, name) for name in ("in_use", "limit", "waiting"))
    plots = [
        Plot([Curve("used", in_use, filled=True), Curve("limit", limit)], _count),
        Plot([Curve("waiting", waiting, filled=True)], _count, height=56),
    ]
    last = levels[-1] if levels else None
    says = f"{words.in_use.capitalize()}: at most {_most(in_use)}, now {last.in_use if last else 'unknown'}"
    says += f" of {last.limit}. " if last and last.limit is not None else ", without a limit. "
    says += f"{words.waiting.capitalize()}: at most {_most(waiting)}, now {last.waiting if last else 'unknown'}."
    return Figure(
        id,
        f"{words.title}, {window.range.words}",
        says,
        [("k-used", words.in_use), ("k-limit", words.limit), ("k-line", words.waiting)],
        _pictures(plots, window, wide, _moments(changes)),
        [words.in_use, words.limit, words.waiting],
        _table(levels, window, ("in_use", "limit", "waiting")),
        _begins(levels, window),
        not levels,
    )


@dataclass(frozen=True)
class Words:
    """What a chart of use is called, and its curves."""

    title: str = "Use and waiting"
    in_use: str = "in use"
    limit: str = "limit"
    waiting: str = "waiting"


def lines(id: str, ops: Levels, runs: Levels, window: Window, changes: Iterable[Change], wide: Shape = WIDE) -> Figure:
    """Ops that wait and runs that are queued, on one scale."""
    waiting, queued = _series(ops, window, "waiting"), _series(runs, window, "waiting")
    plot = Plot([Curve("waiting", waiting, filled=True), Curve("queued", queued)], _count, height=220)
    says = f"Ops waiting: at most {_most(waiting)}. Runs queued: at most {_most(queued)}."
    of_ops, of_runs = (dict(_table(levels, window, ("waiting",))) for levels in (ops, runs))
    return Figure(
        id,
        f"Ops waiting and runs queued, {window.range.words}",
        says,
        [("k-line", "ops waiting"), ("k-queued-line", "runs queued")],
        _pictures([plot], window, wide, _moments(changes, named=True)),
        ["ops waiting", "runs queued"],
        [(at, [*of_ops[at], *of_runs.get(at, ("–",))]) for at in of_ops],
        _begins(ops, window),
        not ops,
    )


def waits(id: str, samples: Sequence[Sample], window: Window, title: str, wide: Shape = WIDE) -> Figure:
    """How long those who had to wait for it had waited when they were let in: percentiles of each period."""
    periods = _histograms(samples, window)
    series = {name: [histogram.quantile(each, part) for each in periods] for name, part in PERCENTILES}
    plot = Plot(
        [Curve(name, series[name]) for name in ("p99", "p95", "p50")], _span, geometry.duration_ticks, height=120
    )
    whole = histogram.merged(periods)
    told = percentiles(whole)
    says = f"{told[0]} had to wait. " + ", ".join(
        f"{name} {value}" for (name, _), value in zip(PERCENTILES, told[1:], strict=True)
    )
    return Figure(
        id,
        f"{title}, {window.range.words}",
        says if whole else "Nobody had to wait.",
        [(f"k-{name}", name) for name, _ in PERCENTILES],
        _pictures([plot], window, wide),
        ["had to wait", *(name for name, _ in PERCENTILES)],
        [
            (_moment(window.start + index * window.range.period), percentiles(each))
            for index, each in enumerate(periods)
            if each
        ],
        None,
        not whole,
    )


def percentiles(of: histogram.Histogram) -> list[str]:
    """How many waited, and p50, p95, p99 in words."""
    return [str(histogram.count(of)), *(_span_or_none(histogram.quantile(of, part)) for _, part in PERCENTILES)]


def whole(samples: Sequence[Sample]) -> histogram.Histogram:
    """All waits of samples together."""
    return histogram.merged(histogram.from_text(sample.waits) for sample in samples)


def _histograms(samples: Sequence[Sample], window: Window) -> list[histogram.Histogram]:
    period = window.range.period
    count = -(-(window.end - window.start) // period)
    of: list[list[histogram.Histogram]] = [[] for _ in range(count)]
    for sample in samples:
        if sample.waits and 0 <= (place := (sample.at - window.start) // period) < count:
            of[place].append(histogram.from_text(sample.waits))
    return [histogram.merged(each) for each in of]


def _series(levels: Levels, window: Window, name: str) -> list[float | None]:
    points = ((level.at, getattr(level, name)) for level in levels)
    return geometry.slots(points, window.start, window.range.slot, window.count)


def _table(levels: Levels, window: Window, names: Sequence[str]) -> list[tuple[datetime, list[str]]]:
    """The most of each period; those of which nothing is known are left out."""
    period = window.range.period
    count = -(-(window.end - window.start) // period)
    columns = [
        geometry.slots(((level.at, getattr(level, name)) for level in levels), window.start, period, count)
        for name in names
    ]
    rows = zip(*columns, strict=True)
    return [
        (_moment(window.start + index * period), ["–" if value is None else f"{value:.0f}" for value in row])
        for index, row in enumerate(rows)
        if any(value is not None for value in row)
    ]


def _pictures(plots: Sequence[Plot], window: Window, wide: Shape, moments: Sequence[Moment] = ()) -> list[Picture]:
    return [draw(shape, plots, window.start, window.end, moments) for shape in (wide, NARROW)]


def _moments(changes: Iterable[Change], named: bool = False) -> list[Moment]:
    """Changes of limits, and pauses, as marks."""
    return [
        Moment(
            int(change.at.timestamp()),
            f"{subject_name(change.subject) + ' ' if named else ''}{delta(change)} by {change.who}",
        )
        for change in changes
        if change.field in ("limit", "default_limit", "paused", "deleted", "max_concurrent_runs")
    ]


def _begins(levels: Levels, window: Window) -> datetime | None:
    if levels and levels[0].at >= window.start + 2 * max(window.range.slot, window.range.sample):
        return _moment(levels[0].at)
    return None


def _most(series: geometry.Series) -> str:
    known = [value for value in series if value is not None]
    return f"{max(known):.0f}" if known else "unknown"


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _count(number: float) -> str:
    return f"{number / 1000:g}k" if number >= 10_000 else f"{number:g}"


def _span(seconds: float) -> str:
    for least, unit, letter in ((86400, 86400, "d"), (3600, 3600, "h"), (60, 60, "m")):
        if seconds >= least:
            return f"{seconds / unit:g}{letter}"
    return f"{seconds:g}s"


def _span_or_none(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.0f}ms" if seconds < 0.1 else duration(seconds)
