"""The fields of the launch form: each type has its own, shows its values, and gives back what it was shown."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from django.http import QueryDict
from pydantic import BaseModel, Field

import controlplane as dg
from controlplane.dashboard.launch_form import LaunchForm
from controlplane.dashboard.param_fields import Group, Leaf, bounds, tree
from runs import params
from runs.catalog import Job
from runs.launch_document import Document


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Inner:
    deep: int = 1


@dataclass
class Source:
    table: str = field(metadata={"description": "Which one"})
    inner: Inner = field(default_factory=Inner)


class Tree(BaseModel):
    """Stands in itself."""

    name: str = ""
    children: list[Tree] = []
    next: Tree | None = None


def job(kind: type) -> Job:
    return Job("j", (), dg.multiprocess_executor, {}, kind, "", "")


def one(kind: Any, default: Any = ..., **more: Any) -> type:
    """A params type with one field, `x`."""
    space = {"__annotations__": {"x": kind}, **({} if default is ... else {"x": default}), **more}
    return dataclass(type("One", (), space))


def sent(form: LaunchForm, **typed: str | list[str]) -> LaunchForm:
    """A form that was sent by a browser as it was shown, but for what was typed."""
    data = QueryDict(mutable=True)
    for name in form.fields:
        value = form[name].value()
        if value not in (None, False):
            data.setlist(name, value if isinstance(value, list) else ["on" if value is True else str(value)])
    for name, text in typed.items():
        data.setlist(f"params.{name.replace('__', '.')}", text if isinstance(text, list) else [text])
    return LaunchForm(form.job, data)


def launched(kind: type, document: Document | None = None, **typed: str | list[str]) -> dict[str, Any]:
    form = sent(LaunchForm(job(kind), document=document), **typed)
    assert form.is_valid(), form.errors
    return params.check(kind, form.values)


@pytest.mark.parametrize(
    ("kind", "look", "default", "typed", "value"),
    [
        (str, "text", "a", " b ", " b "),
        (int, "integer", 1, "22", 22),
        (float, "number", 0.5, "1", 1.0),
        (Decimal, "number", Decimal("1.50"), "2.250", "2.250"),
        (date, "date", date(2026, 1, 31), "2026-02-01", "2026-02-01"),
        (time, "time", time(10, 30), "11:45", "11:45:00"),
        (datetime, "text", datetime(2026, 1, 31, tzinfo=UTC), "2026-02-01T10:00+01:00", "2026-02-01T10:00:00+01:00"),
        (timedelta, "text", timedelta(minutes=5), "01:30:00", "PT1H30M"),
        (UUID, "text", UUID(int=1), str(UUID(int=2)), str(UUID(int=2))),
        (Path, "text", Path("/a"), "/b", "/b"),
        (Size, "choice", Size.SMALL, "large", "large"),
        (Literal[1, 2], "choice", 1, "2", 2),
        (list[int], "lines", [1], "2\n\n 3", [2, 3]),
        (set[str], "lines", {"a"}, "b", ["b"]),
        (list[Size], "ticks", [Size.SMALL], ["large"], ["large"]),
        (dict[str, float], "entries", {"a": 1.0}, "b = 2\nc=0.5", {"b": 2.0, "c": 0.5}),
        (Any, "yaml", {"a": 1}, "a: [1, x]", {"a": [1, "x"]}),
        (int | str, "yaml", 1, "x", "x"),
        (tuple[int, str], "yaml", (1, "a"), "[2, b]", [2, "b"]),
        (dict[str, list[int]], "yaml", {}, "a: [1]", {"a": [1]}),
        (Annotated[str, Field(json_schema_extra={"multiline": True})], "long", "a", "b\r\nc", "b\nc"),
    ],
)
def test_a_type_has_a_field_that_shows_and_takes_its_values(kind, look, default, typed, value) -> None:
    with_default = dataclass(
        type("One", (), {"__annotations__": {"x": kind}, "x": field(default_factory=lambda: default)})
    )
    (leaf,) = tree(with_default)
    assert isinstance(leaf, Leaf)
    assert leaf.kind.look == look
    by_default = params.check(with_default, {})
    assert launched(with_default)["x"] == by_default["x"], "what is not touched is the default"
    assert launched(with_default, x=typed)["x"] == value
    assert launched(one(kind), Document({"x": value}))["x"] == value, "what it is filled in with comes back"


def test_a_switch_is_on_or_off_and_has_a_third_position_where_none_is_allowed() -> None:
    assert launched(one(bool, True))["x"] is True
    form = sent(LaunchForm(job(one(bool, True))))
    form.data.pop("params.x")
    assert params.check(one(bool, True), form.values if form.is_valid() else {})["x"] is False
    assert [launched(one(bool | None, None), x=text)["x"] for text in ("true", "false", "")] == [True, False, None]


@pytest.mark.parametrize("kind", [int, str, date, Size, UUID, list[int], dict[str, int]])
def test_nothing_is_none_where_that_is_allowed(kind) -> None:
    assert launched(one(kind | None, None), x="")["x"] is None


def test_what_was_cleared_is_empty_and_else_the_default_counts() -> None:
    assert launched(one(str, "a"), x="")["x"] == ""
    assert launched(one(int, 3), x="")["x"] == 3
    assert launched(one(list[int], field(default_factory=lambda: [1])), x="")["x"] == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "two\nlines"),
        (int, "ten"),
        (list[str], ["a", ""]),
        (list[str], [" a"]),
        (dict[str, str], {"a=b": "c"}),
        (list[Size], ["large", "small"]),
        (time, "10:30:00Z"),
        (Source, {"table": "t", "unknown": 1}),
        (Source, "no mapping"),
    ],
)
def test_what_a_field_can_not_show_is_written_as_yaml(kind, value) -> None:
    form = LaunchForm(job(one(kind)), document=Document({"x": value}))
    assert "params.x:yaml" in form.fields
    again = sent(form)
    assert again.is_valid()
    assert again.values["x"] == value


# --- types within types -------------------------------------------------------------------------------


@dataclass
class Nested:
    source: Source
    mirror: Source | None = None
    fallback: Source = field(default_factory=lambda: Source("backup", Inner(9)))


def test_a_type_within_a_type_is_a_group() -> None:
    source, mirror, _ = tree(Nested)
    assert isinstance(source, Group)
    assert [node.path for node in source.nodes] == ["params.source.table", "params.source.inner"]
    assert isinstance(mirror, Group)
    assert mirror.nullable
    found = launched(Nested, source__table="orders", source__inner__deep="5")
    assert found == {
        "source": {"table": "orders", "inner": {"deep": 5}},
        "mirror": None,
        "fallback": {"table": "backup", "inner": {"deep": 9}},
    }
    found = launched(Nested, source__table="o", **{"mirror:given": "on", "mirror__table": "m"})
    assert found["mirror"] == {"table": "m", "inner": {"deep": 1}}


def test_only_what_has_to_be_given_is_required_of_a_browser() -> None:
    form = LaunchForm(job(Nested))
    assert form.fields["params.source.table"].widget.attrs["required"]
    assert "required" not in form.fields["params.mirror.table"].widget.attrs, "it is hidden until it is ticked"
    assert form["params.source.table"].help_text == "Which one."


def test_a_type_that_stands_in_itself_is_written_as_yaml() -> None:
    name, children, after = tree(Tree)
    assert isinstance(children, Leaf)
    assert children.kind.look == "yaml"
    assert launched(Tree, children="- name: a\n  children: [{name: b}]")["children"][0]["children"][0]["name"] == "b"
    assert after.path == "params.next"
    assert name.path == "params.name"


# --- what is wrong ------------------------------------------------------------------------------------


def errors(kind: type, **typed: str) -> dict[str, list[str]]:
    form = sent(LaunchForm(job(kind)), **typed)
    with pytest.raises(params.InvalidParams) as caught:
        params.check(kind, form.values if form.is_valid() else {})
    form.take_errors({f"params.{path}": text for path, text in caught.value.errors.items()})
    return {name: list(said) for name, said in form.errors.items()}


def test_an_error_stands_beside_the_field_that_it_is_about() -> None:
    assert errors(Nested, source__table="") == {"params.source.table": ["Required."]}
    said = errors(Nested, source__table="t", source__inner__deep="x")
    assert "valid integer" in said["params.source.inner.deep"][0]
    (said,) = errors(one(list[int]), x="1\ntwo").values()
    assert said[0].startswith("Item 2: Input should be a valid integer")
    (said,) = errors(one(dict[str, int]), x="a = b").values()
    assert said[0].startswith("a: Input should be a valid integer")
    (said,) = errors(one(Source), x__table="t", **{"x:yaml": "{table: t, tabel: u}"}).values()
    assert said == ["tabel: unknown; there are table, inner"]


def test_entries_are_read_line_by_line() -> None:
    form = sent(LaunchForm(job(one(dict[str, int]))), x="a = 1\nb")
    assert not form.is_valid()
    assert form.errors["params.x"] == ["Line 2: 'b' is not allowed: write key = value."]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Annotated[int, Field(ge=1, le=100)], ["1 to 100"]),
        (Annotated[int, Field(gt=0, multiple_of=5)], ["more than 0", "a multiple of 5"]),
        (Annotated[float, Field(lt=1)], ["less than 1"]),
        (Annotated[str, Field(min_length=2, pattern="^a")], ["at least 2 characters", "matches ^a"]),
        (Annotated[list[int], Field(max_length=3)], ["at most 3 of them"]),
        (Annotated[int | None, Field(ge=1)], ["1 or more"]),
        (Annotated[Decimal, Field(ge=0)], ["0 or more"]),
    ],
)
def test_bounds_are_said(kind, said) -> None:
    (leaf,) = tree(one(kind))
    assert bounds(leaf.spec) == said
