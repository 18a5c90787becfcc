"""The params of a job: what no database keeps is refused like what the author's type refuses, by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from runs import params


@dataclass
class Report:
    name: str = "daily"
    share: float = 1.0
    columns: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)


@pytest.mark.parametrize("number", ["nan", "inf", float("nan"), float("-inf")])
def test_a_number_is_finite(number: Any) -> None:
    with pytest.raises(params.InvalidParams) as caught:
        params.check(Report, {"share": number})
    assert caught.value.errors == {"share": f"not a finite number (got {float(number)!r})"}


@pytest.mark.parametrize("text", ["a\0b", "caf\udce9"])
def test_text_is_what_a_database_keeps(text: str) -> None:
    with pytest.raises(params.InvalidParams) as caught:
        params.check(Report, {"name": text})
    assert list(caught.value.errors) == ["name"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"columns": ["a", "b\0"]}, "columns"),
        ({"weights": {"a": 1.0, "b": float("inf")}}, "weights"),
        ({"weights": {"a\0": 1.0}}, "weights"),
    ],
)
def test_so_is_whatever_is_within_a_value(values: dict[str, Any], name: str) -> None:
    with pytest.raises(params.InvalidParams) as caught:
        params.check(Report, values)
    assert list(caught.value.errors) == [name]


def test_every_field_that_is_wrong_is_named() -> None:
    with pytest.raises(params.InvalidParams) as caught:
        params.check(Report, {"name": "\0", "share": "nan"})
    assert list(caught.value.errors) == ["name", "share"]


def test_what_can_be_kept_is_completed_with_defaults() -> None:
    assert params.check(Report, {"name": "größer", "share": "0.5"}) == {
        "name": "größer", "share": 0.5, "columns": [], "weights": {},
    }  # fmt: skip
