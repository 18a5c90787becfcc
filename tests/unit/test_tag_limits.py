"""The three kinds of tag limits: what each counts, and what is not a rule."""

from __future__ import annotations

import pytest

from runs import tag_limits
from runs.tag_limits import InvalidTagLimit, TagLimit

ONE_VALUE = TagLimit("team", 1, value="growth")
TOGETHER = TagLimit("team", 1)
EACH = TagLimit("team", 1, per_value=True)


@pytest.mark.parametrize(
    ("tags", "one_value", "together", "each"),
    [
        ({"team": "growth"}, "", "", "growth"),
        ({"team": "ops"}, None, "", "ops"),
        ({"team": ""}, None, "", ""),
        ({"other": "growth"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_each_kind_counts_its_own(tags, one_value, together, each):
    assert ONE_VALUE.counts(tags) == one_value
    assert TOGETHER.counts(tags) == together
    assert EACH.counts(tags) == each


def test_a_rule_says_itself_in_words():
    assert [rule.label for rule in (ONE_VALUE, TOGETHER, EACH)] == ["team=growth", "team", "each team"]


def test_identity_leaves_the_limit_out():
    assert TagLimit("a", 1).identity == TagLimit("a", 2).identity
    assert len({rule.identity for rule in (ONE_VALUE, TOGETHER, EACH)}) == 3


def test_the_shape_of_the_configuration_is_understood():
    assert tag_limits.parse(
        [
            {"key": "team", "value": "growth", "limit": 1},
            {"key": "team", "limit": 2},
            {"key": "region", "value": {"applyLimitPerUniqueValue": False}, "limit": 0},
            {"key": "team", "value": {"applyLimitPerUniqueValue": True}, "limit": 3},
        ]
    ) == [
        TagLimit("team", 1, value="growth"),
        TagLimit("team", 2),
        TagLimit("region", 0),
        TagLimit("team", 3, per_value=True),
    ]


def test_no_rules_are_no_rules():
    assert tag_limits.parse(None) == tag_limits.parse([]) == []


def test_an_empty_value_is_a_value_of_its_own():
    (rule,) = tag_limits.parse([{"key": "team", "value": "", "limit": 1}])
    assert rule.counts({"team": ""}) == ""
    assert rule.counts({"team": "x"}) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"key": "", "limit": 1}, "r[0].key: '' is not allowed: use the name of a tag, 1 to 200 characters."),
        ({"limit": 1}, "r[0].key: None is not allowed: use the name of a tag, 1 to 200 characters."),
        ({"key": "k" * 201, "limit": 1}, "use the name of a tag, 1 to 200 characters."),
        ({"key": 3, "limit": 1}, "r[0].key: 3 is not allowed"),
        ({"key": "k"}, "r[0].limit: None is not allowed: use a whole number, 0 or more."),
        ({"key": "k", "limit": -1}, "r[0].limit: -1 is not allowed: use a whole number, 0 or more."),
        ({"key": "k", "limit": 1.5}, "r[0].limit: 1.5 is not allowed"),
        ({"key": "k", "limit": "1"}, "r[0].limit: '1' is not allowed"),
        ({"key": "k", "limit": True}, "r[0].limit: True is not allowed"),
        ({"key": "k", "limit": 2**31}, f"r[0].limit: {2**31} is not allowed"),
        (
            {"key": "k", "limit": 1, "value": 3},
            "r[0].value: 3 is not allowed: use a string of at most 500",
        ),
        ({"key": "k", "limit": 1, "value": "v" * 501}, "r[0].value:"),
        ({"key": "k", "limit": 1, "value": {"applyLimitPerUniqueValue": "yes"}}, "r[0].value:"),
        ({"key": "k", "limit": 1, "value": {"applyLimitPerUniqueValue": 1}}, "r[0].value:"),
        ({"key": "k", "limit": 1, "value": {"other": True}}, "r[0].value:"),
        ({"key": "k", "limit": 1, "color": "red"}, "r[0].color: unknown; allowed: key, value, limit."),
        (["key"], "r[0]: ['key'] is not allowed: use key, value and limit."),
    ],
)
def test_what_is_no_rule_is_refused_by_path_value_and_what_is_allowed(entry, said):
    with pytest.raises(InvalidTagLimit) as error:
        tag_limits.parse([entry], "r")
    assert said in str(error.value)


@pytest.mark.parametrize("value", ["team", 3, {"key": "team", "limit": 1}])
def test_rules_are_a_list(value):
    with pytest.raises(InvalidTagLimit, match="use a list of rules"):
        tag_limits.parse(value)


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        ({"key": "k", "limit": 1}, {"key": "k", "limit": 2}, "k"),
        ({"key": "k", "limit": 1}, {"key": "k", "value": {"applyLimitPerUniqueValue": False}, "limit": 2}, "k"),
        ({"key": "k", "value": "v", "limit": 1}, {"key": "k", "value": "v", "limit": 1}, "k=v"),
    ],
)
def test_the_same_rule_twice_is_refused(first, second, label):
    with pytest.raises(InvalidTagLimit) as error:
        tag_limits.parse([first, second], "r")
    assert str(error.value) == f"r[1]: there is a rule for {label} already; name each rule once."
