"""What a pool's name, a limit and a weight may be."""

from __future__ import annotations

import pytest

from pools import limits
from pools.limits import InvalidLimit


@pytest.mark.parametrize("name", ["database", "a", "eu/db-1:x.y|z,w", "数据库", "x" * 200])
def test_a_pools_name_is_any_text_without_white_space(name):
    assert limits.pool_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "a b", "a\tb", "a\n", "a\u00a0b", "a\x00b", "x" * 201, None, 7, ["a"]])
def test_anything_else_is_no_pools_name_and_the_error_says_what_is_allowed(name):
    with pytest.raises(InvalidLimit) as error:
        limits.pool_name(name)
    assert limits.shown(name) in str(error.value)
    assert "1 to 200 characters without white space" in str(error.value)


@pytest.mark.parametrize(("value", "number"), [(0, 0), (100_000, 100_000), ("7", 7), (" 12 ", 12), ("+3", 3)])
def test_a_limit_is_a_whole_number_also_when_written_as_text(value, number):
    assert limits.pool_limit(value) == number


@pytest.mark.parametrize(
    "value", [-1, "-1", 100_001, "100001", 2.5, "2.5", 2.0, "two", "", None, True, "1e3", "٣", "--1", "9" * 21]
)
def test_any_other_limit_is_refused_by_name_value_and_range(value):
    with pytest.raises(InvalidLimit) as error:
        limits.pool_limit(value, "pools.limits.database")
    assert str(error.value) == (
        f"pools.limits.database: {value!r} is not allowed: use a whole number from 0 to 100000."
    )


def test_an_op_names_one_pool_or_several_with_weights():
    assert limits.weights(None) == {}
    assert limits.weights("database") == {"database": 1}
    assert limits.weights({"database": 2, "api": 1}) == {"database": 2, "api": 1}


def test_weights_are_a_copy():
    mine = {"database": 2}
    theirs = limits.weights(mine)
    mine["database"] = 3
    assert theirs == {"database": 2}


@pytest.mark.parametrize("slots", [0, -1, 1.5, "2", True, 100_001, None])
def test_a_weight_is_a_whole_number_from_1(slots):
    with pytest.raises(InvalidLimit) as error:
        limits.weights({"database": slots})
    assert str(error.value) == (
        f"pool 'database': {slots!r} slots is not allowed: use a whole number from 1 to 100000."
    )


@pytest.mark.parametrize("value", [["database"], 3, ("a", "b")])
def test_pools_are_a_name_or_a_dict(value):
    with pytest.raises(InvalidLimit, match="use a name, or a dict such as"):
        limits.weights(value)


def test_a_bad_name_among_the_weights_is_refused():
    with pytest.raises(InvalidLimit, match="'data base' is not a pool's name"):
        limits.weights({"data base": 1})
