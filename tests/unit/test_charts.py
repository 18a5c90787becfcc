"""Where things stand in a chart."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from controlplane.dashboard.charts import geometry
from controlplane.dashboard.charts.geometry import Area
from controlplane.dashboard.charts.picture import HALF, NARROW, ROWS, WIDE, Curve, Moment, Plot, draw
from controlplane.dashboard.charts.ranges import RANGES

BOX = Area(0, 0, 100, 10)
values = some.lists(some.none() | some.integers(0, 50).map(float), min_size=1, max_size=900)


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_a_slot_has_the_most_of_its_samples():
    points = [(100, 1.0), (105, 4.0), (109, 2.0), (120, 0.0), (99, 9.0), (130, 9.0), (125, None)]
    assert geometry.slots(points, 100, 10, 3) == [4.0, None, 0.0]


def test_a_line_goes_in_steps():
    assert geometry.line([2, 2, 5, 0], BOX, 10) == "M0 8H50V5H75V10H100"


def test_a_line_breaks_off_where_nothing_is_known():
    assert geometry.line([None, 2, None, 4], BOX, 10) == "M25 8H50M75 6H100"
    assert geometry.surface([None, 2, None, 4], BOX, 10) == "M25 10V8H50V10ZM75 10V6H100V10Z"
    assert geometry.line([None, None], BOX, 10) == geometry.surface([None], BOX, 10) == ""


@given(values, some.integers(1, 300))
def test_fewer_steps_keep_the_most(series, most):
    found = geometry.fewer(series, most)
    assert len(found) <= most
    known = [value for value in series if value is not None]
    assert max((value for value in found if value is not None), default=None) == max(known, default=None)


@given(values)
def test_what_is_drawn_stays_in_its_area(series):
    most = max([value for value in series if value is not None], default=0) or 1
    for path in (geometry.line(series, BOX, most), geometry.surface(series, BOX, most)):
        assert all(0 <= number <= 100 for number in numbers(path))


@pytest.mark.parametrize(
    ("most", "parts", "ticks"),
    [
        (1, 4, [0, 1]),
        (4, 4, [0, 1, 2, 3, 4]),
        (8, 4, [0, 2, 4, 6, 8]),
        (8, 2, [0, 5]),
        (14, 2, [0, 10]),
        (61, 4, [0, 20, 40, 60]),
        (10_001, 2, [0, 10_000]),
    ],
)
def test_ticks_are_round_numbers(most, parts, ticks):
    assert geometry.count_ticks(most, parts) == ticks


@given(some.floats(0.001, 1e7), some.integers(1, 6))
def test_there_are_few_ticks(most, parts):
    for ticks in (geometry.count_ticks(max(1, int(most)), parts), geometry.duration_ticks(min(most, 2e6), parts)):
        assert ticks[0] == 0
        assert len(ticks) <= parts + 1
        assert ticks[-1] <= max(1, most) + 1e-6


@pytest.mark.parametrize("key", RANGES)
@pytest.mark.parametrize("now", [1_790_000_000, 1_790_000_019.5])
def test_a_range_ends_now_and_has_at_most_300_steps(key, now):
    window = RANGES[key].window(now)
    assert window.end - window.range.slot <= now < window.end
    assert window.end - window.start == window.range.seconds
    assert window.count * window.range.slot == window.range.seconds
    assert window.count <= 300
    assert window.range.slot % window.range.sample == window.range.period % window.range.slot == 0
    ticks = geometry.time_ticks(window.start, window.end, 8)
    assert 4 <= len(ticks) <= 9


def picture(shape, moments=(), series=(1.0, 2.0)):
    return draw(shape, [Plot([Curve("used", series, True)], str)], 0, 3600, moments)


def test_moments_stand_in_rows_without_running_into_each_other():
    moments = [Moment(1800 + n * 60, f"limit {n} → {n + 1} by ada") for n in range(8)]
    found = picture(WIDE, moments)
    assert len(found.marks) == 8
    spans: dict[str, list[tuple[float, float]]] = {}
    for mark in found.marks:
        if mark.anchor:
            x, length = float(mark.text_x), 6.2 * len(mark.text)
            spans.setdefault(mark.y, []).append((x - length, x) if mark.anchor == "end" else (x, x + length))
    assert 1 < len(spans) <= ROWS
    for row in spans.values():
        row.sort()
        assert all(begin >= end for (_, end), (begin, _) in pairwise(row))


def test_a_moment_outside_is_not_drawn():
    assert picture(WIDE, [Moment(-1, "before"), Moment(3600, "after")]).marks == []


def test_a_phone_gets_fewer_steps_and_no_labels():
    narrow, wide = (picture(shape, [Moment(1800, "paused by ada")], [float(n % 2) for n in range(300)])
                    for shape in (NARROW, WIDE))  # fmt: skip
    assert len(narrow.plots[0].paths[1][1]) < len(wide.plots[0].paths[1][1]) / 2
    assert [mark.anchor for mark in narrow.marks] == [""]
    assert [mark.anchor for mark in wide.marks] == ["end"]


@pytest.mark.parametrize("shape", [WIDE, HALF, NARROW])
def test_labels_of_the_time_axis_stay_inside(shape):
    for start in range(0, 4000, 130):
        found = draw(shape, [Plot([Curve("used", [1.0])], str)], start, start + 3600)
        assert all(shape.left <= float(tick.place) <= shape.width - 16 for tick in found.axis)
        assert len(found.axis) >= 2
