"""How long was waited, as counts in buckets: small, merged by adding, and never far off."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pools.samples import histogram
from pools.samples.histogram import bucket, count, from_text, merged, quantile, to_text, value

A_DAY = 86400.0
waits = some.lists(some.floats(0.001, 30 * A_DAY), min_size=1, max_size=60)


def of(seconds: list[float]) -> dict[int, int]:
    return merged({bucket(each): 1} for each in seconds)


@given(some.floats(0.001, 30 * A_DAY))
def test_a_bucket_stands_for_a_value_within_five_percent(seconds):
    assert abs(value(bucket(seconds)) - seconds) <= seconds * (histogram.ERROR + 1e-9)
    assert histogram.ERROR < 0.05


@given(waits, some.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_one_of_the_waits_within_the_error(seconds, part):
    true = sorted(seconds)[max(1, math.ceil(part * len(seconds))) - 1]
    assert quantile(of(seconds), part) == pytest.approx(true, rel=histogram.ERROR + 1e-9)


@given(waits, waits)
def test_merging_loses_nothing(one, other):
    together = merged([of(one), of(other)])
    assert together == of(one + other)
    assert count(together) == len(one) + len(other)


def test_nobody_waited():
    assert quantile({}, 0.5) is None
    assert to_text({}) == ""
    assert from_text("") == {}


@given(waits)
def test_a_row_carries_it(seconds):
    assert from_text(to_text(of(seconds))) == of(seconds)


def test_a_month_of_waits_takes_few_buckets():
    assert bucket(30 * A_DAY) - bucket(0.001) < 230
