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

A_WEEK_AGO = "a week ago"
LEVELS = ("in_use", "limit", "waiting")
PERCENTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))

Levels = Sequence[Sample] | Sequence[Peak]


@dataclass(frozen=True)
class Past:
    """The same a week earlier, to compare with."""

    levels: Sequence[Sample]
    window: Window


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
    note: str = ""


def use(
    id: str,
    levels: Levels,
    window: Window,
    words: Words,
    changes: Iterable[Change] = (),
    wide: Shape = WIDE,
    past: Past | None = None,
) -> Figure:
    """Use against its limit above, who waits below, what was changed on the axis, and how it was a week ago."""
    in_use, limit, waiting = (_series(levels, window, name) for name in ("in_use", "limit", "waiting"))
    then = {name: _series(past.levels, past.window, name) for name in ("in_use", "waiting")} if past else {}
    plots = [
        Plot([Curve("used", in_use, filled=True), Curve("limit", limit), *_curve_of(then.get("in_use"))], _count),
        Plot([Curve("waiting", waiting, filled=True), *_curve_of(then.get("waiting"))], _count, height=56),
    ]
    last = levels[-1] if levels else None
    says = f"{words.in_use.capitalize()}: at most {_most(in_use)}, now {last.in_use if last else 'unknown'}"
    says += f" of {last.limit}. " if last and last.limit is not None else ", without a limit. "
    says += f"{words.waiting.capitalize()}: at most {_most(waiting)}, now {last.waiting if last else 'unknown'}."
    if past and past.levels:
        says += f" {A_WEEK_AGO.capitalize()}: {words.in_use} at most {_most(then['in_use'])},"
        says += f" {words.waiting} at most {_most(then['waiting'])}."
    return Figure(
        id,
        f"{words.title}, {window.range.words}",
        says,
        [("k-used", words.in_use), ("k-limit", words.limit), ("k-line", words.waiting), *_past_key(past)],
        _pictures(plots, window, wide, _moments(changes)),
        [words.in_use, words.limit, words.waiting, *_then(past, words.in_use, words.waiting)],
        _rows(window, [*_columns(levels, window, *LEVELS), *_columns_of(past, "in_use", "waiting")]),
        _begins(levels, window),
        not levels and not (past and past.levels),
        _note(past),
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
    return Figure(
        id,
        f"Ops waiting and runs queued, {window.range.words}",
        says,
        [("k-line", "ops waiting"), ("k-queued-line", "runs queued")],
        _pictures([plot], window, wide, _moments(changes, named=True)),
        ["ops waiting", "runs queued"],
        _rows(window, [*_columns(ops, window, "waiting"), *_columns(runs, window, "waiting")]),
        _begins(ops, window),
        not ops,
    )


def waits(
    id: str, samples: Sequence[Sample], window: Window, title: str, wide: Shape = WIDE, past: Past | None = None
) -> Figure:
    """How long those who had to wait for it had waited when they were let in: percentiles of each period.

    Of a week ago, the p95.
    """
    periods = _histograms(samples, window)
    series = {name: [histogram.quantile(each, part) for each in periods] for name, part in PERCENTILES}
    then = _histograms(past.levels, past.window) if past else []
    p95_then = [histogram.quantile(each, 0.95) for each in then]
    curves = [*_curve_of(p95_then), *(Curve(name, series[name]) for name in ("p99", "p95", "p50"))]
    plot = Plot(curves, _span, geometry.duration_ticks, height=120)
    whole, whole_then = histogram.merged(periods), histogram.merged(then)
    says = _waited(whole)
    if past and past.levels:
        says += f" {A_WEEK_AGO.capitalize()}: {_waited(whole_then)}"
    return Figure(
        id,
        f"{title}, {window.range.words}",
        says,
        [*((f"k-{name}", name) for name, _ in PERCENTILES), *_past_key(past, "p95 ")],
        _pictures([plot], window, wide),
        ["had to wait", *(name for name, _ in PERCENTILES), *_then(past, "p95")],
        [
            (
                _moment(window.start + index * window.range.period),
                [*percentiles(each), *([_span_or_none(p95)] if past else [])],
            )
            for index, (each, p95) in enumerate(zip(periods, p95_then or [None] * len(periods), strict=True))
            if each or p95 is not None
        ],
        None,
        not whole and not whole_then,
        _note(past),
    )


def _waited(of: histogram.Histogram) -> str:
    """How many waited and how long, in a sentence."""
    if not of:
        return "Nobody had to wait."
    number, *spans = percentiles(of)
    told = (f"{name} {span}" for (name, _), span in zip(PERCENTILES, spans, strict=True))
    return f"{number} had to wait. {', '.join(told)}."


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


def _columns(levels: Levels, window: Window, *names: str) -> list[list[float | None]]:
    """The most of each period."""
    period = window.range.period
    count = -(-(window.end - window.start) // period)
    return [
        geometry.slots(((level.at, getattr(level, name)) for level in levels), window.start, period, count)
        for name in names
    ]


def _columns_of(past: Past | None, *names: str) -> list[list[float | None]]:
    return _columns(past.levels, past.window, *names) if past else []


def _rows(window: Window, columns: Sequence[geometry.Series]) -> list[tuple[datetime, list[str]]]:
    """Columns as the rows of a table; those of which nothing is known are left out."""
    return [
        (
            _moment(window.start + index * window.range.period),
            ["–" if value is None else f"{value:.0f}" for value in row],
        )
        for index, row in enumerate(zip(*columns, strict=True))
        if any(value is not None for value in row)
    ]


def _curve_of(then: geometry.Series | None) -> list[Curve]:
    return [Curve("past", then)] if then else []


def _past_key(past: Past | None, what: str = "") -> list[tuple[str, str]]:
    return [("k-past", what + A_WEEK_AGO)] if past and past.levels else []


def _note(past: Past | None) -> str:
    return f"Nothing was recorded {A_WEEK_AGO}." if past and not past.levels else ""


def _then(past: Past | None, *names: str) -> list[str]:
    """The heads of the columns of a week ago."""
    return [f"{name} {A_WEEK_AGO}" for name in names] if past else []


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
