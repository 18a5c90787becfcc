"""The launch form: what is typed is what is launched, or is refused beside its field."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

import pytest

import controlplane as dg
from controlplane.dashboard.forms import RuleForm
from controlplane.dashboard.launch_form import LaunchForm
from runs import params
from runs.catalog import Job


class Number(enum.Enum):
    ONE = 1
    TWO = 2


@dataclass
class Params:
    number: Number = Number.ONE
    level: Literal[1, 2] = 1
    maybe: Optional[int] = 7  # noqa: UP045
    name: str = "everyone"
    rows: int = 10
    value: Any = field(default_factory=dict)


def form(**typed: str) -> LaunchForm:
    """A form that was sent as it was shown, but for what was typed."""
    job = Job("j", (), dg.multiprocess_executor, {}, Params, "", "")
    shown = LaunchForm(job)
    data = {name: shown[name].value() for name in shown.fields}
    data = {name: "" if value is None else str(value) for name, value in data.items()}
    return LaunchForm(job, {**data, **{f"params.{name}": text for name, text in typed.items()}})


def launched(**typed: str) -> dict[str, Any]:
    sent = form(**typed)
    assert sent.is_valid(), sent.errors
    return params.check(Params, sent.values)


def test_what_is_not_touched_is_the_default():
    assert launched() == {"number": 1, "level": 1, "maybe": 7, "name": "everyone", "rows": 10, "value": {}}


def test_a_number_can_be_chosen():
    chosen = launched(number="2", level="2")
    assert (chosen["number"], chosen["level"]) == (2, 2)


def test_nothing_is_none_where_that_is_allowed_and_else_the_default():
    assert launched(maybe="")["maybe"] is None
    assert launched(rows="")["rows"] == 10
    assert launched(value="null")["value"] is None


def test_a_text_that_was_cleared_is_empty():
    assert launched(name="")["name"] == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1, column 2: expected the node content"),
        ("a: 1\na: 2", "the key a stands twice"),
        ("1" * 5000, "is no int"),
        ("&a [*a]", "an alias is not allowed"),
        ("!!binary aGk=", "is not allowed"),
        ('"\\ud800"', "a character that no database keeps"),
        ('{"a\\0": 1}', "a character that no database keeps"),
        ("[" * 100_000, "this is nested more than 50 deep"),
        ("[.nan]", ".nan is not finite"),
        ("-.inf", "-.inf is not finite"),
        ("1e400", "1e400 is not finite"),
    ],
)
def test_what_is_no_value_is_refused_beside_its_field(text, said):
    sent = form(value=text)
    assert not sent.is_valid()
    assert said in str(sent.errors["params.value"])


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"tags": "a=b\na=c"}, "tags", "Line 2: a is given twice."),
        ({"tags": "a=b\n\n a =c"}, "tags", "Line 3: a is given twice."),
        (
            {"tags": "dagster/priority=5", "priority": "3"},
            "priority",
            "It is given twice, here and as the tag dagster/priority.",
        ),
    ],
)
def test_what_is_given_twice_is_refused(typed, field, said):
    sent = form()
    sent.data = {**sent.data, **typed}
    assert not sent.is_valid()
    assert sent.errors[field] == [said]


def test_a_priority_may_be_a_tag():
    sent = form()
    sent.data = {**sent.data, "tags": "dagster/priority=5\nteam=core"}
    assert sent.is_valid(), sent.errors


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"key": "k\x07", "kind": "any", "value": ""}, "key"),
        ({"key": "k", "kind": "one", "value": "v\x07x"}, "value"),
    ],
)
def test_a_rule_is_what_the_file_would_take_too(rule, field):
    sent = RuleForm({**rule, "limit": "1"})
    assert not sent.is_valid()
    assert "is not allowed: use " in str(sent.errors[field])
    assert RuleForm({"key": "k", "kind": "one", "value": "v x", "limit": "1"}).is_valid()
