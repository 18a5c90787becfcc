"""Pictures of a chart: plots above one another on one time axis, in a wide shape and in one for phones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controlplane.dashboard.charts import geometry
from controlplane.dashboard.charts.geometry import DAY, Area, Series

LETTER = 6.2  # how wide a letter of a label is, about
ROW = 14.0  # from one row of labels to the next
ROWS = 3
GAP = 24.0  # between plots
TICK = 27.0  # between ticks of an axis, at least


@dataclass(frozen=True)
class Curve:
    """A series with its look: a class of charts.css. Filled: with what lies under it."""

    look: str
    series: Series
    filled: bool = False


@dataclass(frozen=True)
class Plot:
    """Curves on one scale."""

    curves: Sequence[Curve]
    label: Callable[[float], str]
    ticks: Callable[[float, int], list[float]] = geometry.count_ticks
    height: float = 110.0

    @property
    def most(self) -> float:
        values = [value for curve in self.curves for value in curve.series if value is not None]
        return max(values, default=0) or 1


@dataclass(frozen=True)
class Moment:
    """Something that happened at a time, to be marked on the axis."""

    at: int
    text: str


@dataclass(frozen=True)
class Shape:
    """How large a picture is, and how much it says."""

    look: str
    width: float
    left: float
    steps: int  # of a series
    ticks: int  # of the time axis
    labels: bool  # of moments


WIDE = Shape("wide", 720, 34, 300, 8, True)
HALF = Shape("wide", 520, 34, 300, 6, True)  # for two beside each other
NARROW = Shape("narrow", 340, 30, 100, 4, False)


@dataclass(frozen=True)
class Tick:
    """A label of an axis. `at`: the time it stands for, as a machine reads it."""

    place: str
    label: str
    at: str = ""


@dataclass(frozen=True)
class Mark:
    """A moment as it is drawn: a line down the plots, and its text if there is room."""

    x: str
    y: str
    text: str
    anchor: str  # "": without text
    text_x: str


@dataclass(frozen=True)
class Drawn:
    """A plot as it is drawn."""

    ticks: list[Tick]
    paths: list[tuple[str, str]]  # look and path


@dataclass(frozen=True)
class Picture:
    """All that a template needs to draw one SVG."""

    look: str
    width: str
    height: str
    left: str
    right: str
    plots: list[Drawn]
    marks: list[Mark]
    base: str
    axis: list[Tick]
    labels_at: str


def draw(shape: Shape, plots: Sequence[Plot], start: int, end: int, moments: Sequence[Moment] = ()) -> Picture:
    """One picture of plots that share the time from `start` to `end`."""
    width = shape.width - shape.left - 1
    marks, top = _marks(shape, width, start, end, moments)
    drawn = []
    for plot in plots:
        area = Area(shape.left, top, width, plot.height)
        drawn.append(_drawn(plot, area, shape.steps))
        top = area.base + GAP
    base = top - GAP
    return Picture(
        shape.look,
        _n(shape.width),
        _n(base + 24),
        _n(shape.left),
        _n(shape.left + width),
        drawn,
        marks,
        _n(base),
        _axis(shape, width, start, end),
        _n(base + 17),
    )


def _drawn(plot: Plot, area: Area, steps: int) -> Drawn:
    most = plot.most
    ticks = [Tick(_n(area.y(tick, most)), plot.label(tick)) for tick in plot.ticks(most, int(plot.height // TICK))]
    paths = []
    for curve in plot.curves:
        series = geometry.fewer(curve.series, steps)
        if curve.filled and (under := geometry.surface(series, area, most)):
            paths.append((f"{curve.look} under", under))
        if over := geometry.line(series, area, most):
            paths.append((curve.look, over))
    return Drawn(ticks, paths)


def _axis(shape: Shape, width: float, start: int, end: int) -> list[Tick]:
    form = "%H:%M" if end - start <= 2 * DAY else "%d %b"
    ticks = []
    for tick in geometry.time_ticks(start, end, shape.ticks):
        place = shape.left + width * (tick - start) / (end - start)
        if shape.left + 12 <= place <= shape.width - 16:  # the label fits
            moment = datetime.fromtimestamp(tick, UTC)
            ticks.append(Tick(_n(place), moment.strftime(form), moment.isoformat()))
    return ticks


def _marks(shape: Shape, width: float, start: int, end: int, moments: Sequence[Moment]) -> tuple[list[Mark], float]:
    """The marks, the newest first, and where the plots begin below them. Texts that find no room are left out."""
    within = sorted((moment for moment in moments if start <= moment.at < end), key=lambda moment: -moment.at)
    rows: list[list[tuple[float, float]]] = []  # what is taken of each row of texts
    placed = []
    for moment in within:
        x = shape.left + width * (moment.at - start) / (end - start)
        placed.append((x, moment.text, *(_place(rows, x, moment.text, shape) if shape.labels else (None, ""))))
    top = 8 + max(ROW * len(rows), ROW if within else 0) + (4 if within else 0)
    marks = []
    for x, text, row, anchor in placed:
        y = top - 11 - ROW * (row or 0)
        marks.append(Mark(_n(x), _n(y), text, anchor, _n(x - 8 if anchor == "end" else x + 8)))
    return marks, top


def _place(rows: list[list[tuple[float, float]]], x: float, text: str, shape: Shape) -> tuple[int | None, str]:
    """The lowest row with room for a text, left of its mark if that is possible, and how it is anchored there."""
    length = LETTER * len(text) + 8
    for row in range(ROWS):
        taken = rows[row] if row < len(rows) else []
        for anchor, begin, end in (("end", x - length, x + 6), ("start", x - 6, x + length)):
            inside = begin >= 0 and end <= shape.width
            if inside and all(end < other_begin or begin > other_end for other_begin, other_end in taken):
                if row == len(rows):
                    rows.append([])
                rows[row].append((begin, end))
                return row, anchor
    return None, ""


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
