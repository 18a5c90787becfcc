"""The params of a job: what a launch makes of text and values, and which types can't be params."""

from __future__ import annotations

import enum
from dataclasses import InitVar, dataclass, field
from typing import Any, Literal, Optional

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, computed_field, field_validator

from runs import params
from runs.params import InvalidParams, UnusableParams


class Number(enum.Enum):
    ONE = 1
    TWO = 2


class Share(enum.Enum):
    HALF = 0.5
    ALL = 1.0


class Answer(enum.Enum):
    YES = True
    NO = False


@dataclass
class Choices:
    number: Number
    share: Share = Share.HALF
    answer: Answer = Answer.YES
    level: Literal[1, 2] = 1
    only: Literal[7] = 7
    maybe: Optional[Number] = None  # noqa: UP045


def errors(kind: Any, **values: Any) -> dict[str, str]:
    with pytest.raises(InvalidParams) as error:
        params.check(kind, values)
    return error.value.errors


# --- values -----------------------------------------------------------------------------------------


def test_a_choice_that_is_no_text_is_read_from_text():
    text = {"number": "2", "share": "1.0", "answer": "False", "level": "2", "only": "7", "maybe": "1"}
    checked = params.check(Choices, text)
    assert checked == {"number": 2, "share": 1.0, "answer": False, "level": 2, "only": 7, "maybe": 1}
    assert params.restore(Choices, checked) == Choices(Number.TWO, Share.ALL, Answer.NO, 2, 7, Number.ONE)
    assert params.check(Choices, {"number": "1", "answer": "true"})["answer"] is True
    assert params.check(Choices, {"number": 1})["maybe"] is None


def test_a_choice_that_is_not_offered_is_named():
    assert "number" in errors(Choices, number="3")


@dataclass
class WrongDefault:
    rows: int = "many"  # type: ignore[assignment]


def test_a_default_that_no_op_could_be_given_is_refused_at_the_launch():
    assert "unable to parse string as an integer (got 'many')" in errors(WrongDefault)["rows"]
    assert params.check(WrongDefault, {"rows": "3"}) == {"rows": 3}


class Fussy(BaseModel):
    day: int = 1

    @field_validator("day")
    @classmethod
    def known(cls, day: int) -> int:
        return {1: 1, 2: 2}[day]


def test_a_validator_that_breaks_is_a_refusal():
    assert errors(Fussy, day=9) == {"": "not accepted: KeyError: 9"}


@dataclass
class Nested:
    value: list[Any]


def test_what_is_nested_too_deeply_is_refused():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert set(errors(Nested, value=deep)) == {""}


class Aliased(BaseModel):
    rows: int = Field(alias="n")


def test_params_are_named_by_their_fields_not_by_an_alias():
    assert params.check(Aliased, {"rows": "3"}) == {"rows": 3}
    assert params.restore(Aliased, {"rows": 3}).rows == 3
    assert list(params.fields(Aliased)) == ["rows"]
    assert "n" in errors(Aliased, n=3)


@dataclass
class PartlyGiven:
    given: int
    derived: int = field(init=False, default=9)
    only_for_init: InitVar[int] = 3


class Computing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: int

    @computed_field
    def double(self) -> int:
        return 2 * self.rows


def test_only_what_can_be_given_is_a_param():
    assert list(params.fields(PartlyGiven)) == ["given"]
    assert params.check(PartlyGiven, {"given": 1}) == {"given": 1}
    assert params.restore(PartlyGiven, {"given": 1}).derived == 9
    assert params.check(Computing, {"rows": 1}) == {"rows": 1}
    assert params.restore(Computing, {"rows": 1}).double == 2


# --- types ------------------------------------------------------------------------------------------


class Anything:
    pass


@dataclass
class Unknown:
    x: Anything


@dataclass
class Dangling:
    x: Nowhere  # type: ignore[name-defined]  # noqa: F821


class Secret(BaseModel):
    user: str
    tokens: list[SecretStr] = []


class Root(RootModel[int]):
    pass


@dataclass
class Unlaunchable:
    seed: InitVar[int]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Unknown, "Unknown: Unable to generate pydantic-core schema for <class 'tests.store.test_params.Anything'>."),
        (Dangling, "Dangling: "),
        (Secret, "Secret.tokens is a secret: params are kept and shown; give secrets to the workers"),
        (Root, "Root: it has no fields"),
        (Unlaunchable, "Unlaunchable.seed must be given and can't be kept"),
    ],
)
def test_a_type_that_can_not_be_launched_is_named(kind, said):
    with pytest.raises(UnusableParams) as error:
        params.fields(kind)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
