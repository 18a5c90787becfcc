"""The tags that mean something to the system."""

from __future__ import annotations

import pytest

from runs import system_tags


def test_the_names_are_those_that_users_of_dagster_know():
    assert system_tags.PRIORITY == "dagster/priority"
    assert system_tags.BACKFILL == "dagster/backfill"
    assert system_tags.PARTITION == "dagster/partition"
    assert system_tags.SCHEDULE_NAME == "dagster/schedule_name"
    assert system_tags.MAX_RUNTIME == "dagster/max_runtime"
    assert system_tags.MAX_RETRIES == "dagster/max_retries"


@pytest.mark.parametrize(("value", "priority"), [("5", 5), ("-5", -5), (5, 5), (" 7 ", 7), ("+2", 2), ("0", 0)])
def test_a_whole_number_is_a_priority(value, priority):
    assert system_tags.as_priority(value) == priority


@pytest.mark.parametrize("value", ["high", "", "1.5", 1.5, True, None, "٣", "9" * 31 + "x", "0x10"])
def test_anything_else_is_none(value):
    assert system_tags.as_priority(value) is None


def test_the_range_is_left_to_whoever_sums_priorities():
    assert system_tags.as_priority(str(2**40)) == 2**40
    assert system_tags.as_priority("9" * 40) > 2**40
    assert system_tags.as_priority("-" + "9" * 5000) < -(2**40)
    assert system_tags.as_priority("0" * 40 + "5") == 5
    assert system_tags.as_priority(10**5000) == 10**5000
