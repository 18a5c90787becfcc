"""Of a simulated service it is known what came: the range that is said beforehand covers it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

import pytest

from pools import forecast
from pools.forecast import Record, Service

LENGTHS: dict[str, Callable[[Random], float]] = {
    "all the same": lambda dice: 60.0,
    "about the same": lambda dice: dice.uniform(40, 80),
    "exponential": lambda dice: dice.expovariate(1 / 60),
    "a few that take long": lambda dice: 600.0 if dice.random() < 0.05 else dice.uniform(20, 40),
}
PLACES = (1, 5, 60)


def serve(dice: Random, length: Callable[[Random], float], slots: int) -> tuple[Record, Service, list[float]]:
    """A steady service after a while: what is recorded of it, how it stands, and when each in line starts."""
    busy = [(length(dice) * dice.random(), 0.0) for _ in range(slots)]  # until when, since when
    heapq.heapify(busy)
    admitted, now = [], 0.0
    for _ in range(300 + slots):
        now = busy[0][0]
        ends = now + length(dice)
        heapq.heapreplace(busy, (ends, now))
        admitted.append((now, ends))
    last = admitted[-100 - slots :]
    ended = [ends - begin for begin, ends in last if ends <= now]
    so_far = [now - begin for begin, ends in last if ends > now]
    service = Service(slots, [("op", now - since) for _, since in busy], ["op"] * 100, PLACES[-1])
    starts = []
    for _ in range(PLACES[-1]):
        at = busy[0][0]
        heapq.heapreplace(busy, (at + length(dice), at))
        starts.append(at - now)
    return Record({"op": ended}, {"op": so_far}), service, starts


@pytest.mark.parametrize("slots", [1, 8])
@pytest.mark.parametrize("name", LENGTHS)
def test_nine_times_of_ten_it_starts_within_the_range(name, slots):
    dice = Random(name)
    within = likely = 0
    rounds = 20
    for _ in range(rounds):
        record, service, truth = serve(dice, LENGTHS[name], slots)
        found = forecast.starts(record, service, PLACES)
        for place in PLACES:
            within += found[place].early - 1 <= truth[place - 1] <= found[place].late + 1
            likely += truth[place - 1] <= found[place].likely + 1
    assert within >= 0.8 * rounds * len(PLACES)
    assert likely >= 0.3 * rounds * len(PLACES)


def service(limit: int, in_use: int = 2, length: int = 6) -> Service:
    return Service(limit, [("op", 10.0)] * in_use, ["op"] * length, length)


STEADY = Record({"op": [60.0] * 20})


def test_each_takes_the_slot_that_becomes_free_first():
    found = forecast.starts(STEADY, service(2), [1, 2, 3, 6])
    assert [found[place].likely for place in (1, 2, 3, 6)] == [50, 50, 110, 170]
    assert all(each.early == each.likely == each.late for each in found.values())


def test_a_higher_limit_starts_some_at_once_and_a_lower_one_none_until_use_is_below():
    more, less = (forecast.starts(STEADY, service(limit), [1, 2, 3, 6]) for limit in (4, 1))
    assert [more[place].likely for place in (1, 2, 3, 6)] == [0, 0, 50, 60]
    assert [less[place].likely for place in (1, 2, 3, 6)] == [50, 110, 170, 350]


def test_kinds_are_told_apart():
    record = Record({"short": [1.0] * 10, "long": [100.0] * 10})
    found = forecast.starts(record, Service(1, [("short", 0.0)], ["long", "short", "short"], 3), [1, 2, 3])
    assert [found[place].likely for place in (1, 2, 3)] == [1, 101, 102]


@pytest.mark.parametrize(
    ("record", "limit"), [(Record({"op": [60.0] * 9}), 2), (Record({}), 2), (STEADY, 0)], ids=["thin", "none", "closed"]
)
def test_it_is_silent_where_too_little_is_known(record, limit):
    assert forecast.starts(record, service(limit), [1]) == {}


def test_places_that_there_are_not_are_left_out():
    assert set(forecast.starts(STEADY, service(2), [0, 1, 6, 7])) == {1, 6}


def test_a_long_line_goes_on_at_the_pace_of_the_record():
    found = forecast.starts(STEADY, Service(2, [("op", 0.0)] * 2, ["op"] * 100, 1000), [1000])
    assert found[1000].likely == pytest.approx(1000 / 2 * 60, rel=0.01)
