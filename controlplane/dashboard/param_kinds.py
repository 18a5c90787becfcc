"""How a value stands in a field of a form: the text for it, and the value that a text means. Knows no widget.

What does not come back as it went in is written as YAML instead. What a text means is only whether it is a number; if
it fits its type is for `runs.params` to say.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runs import params
from runs.config import loading
from runs.config.exporting import as_yaml
from runs.config.values import InvalidConfiguration

# A text has one line. How these look in an input of their own; others of their type are written as YAML.
DATE = re.compile(r"\d{4}-\d\d-\d\d")
TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?")
WHOLE = re.compile(r"[+-]?\d{1,30}")


class Unreadable(ValueError):
    """A text that means no value. The text of the error says why."""


@dataclass(frozen=True)
class Kind:
    """A way to write values. `look` says which widget is for it; `write` may raise ValueError for what it can't."""

    look: str  # text, long, integer, number, date, time, switch, choice, ticks, lines, entries, yaml
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    options: tuple[tuple[str, str], ...] = ()  # of a choice
    ordered: bool = True  # whether the order of several values matters

    def fits(self, value: Any) -> bool:
        """Whether a value that is written like this is read as the same."""
        try:
            return self._comparable(self.read(self.write(value))) == self._comparable(value)
        except (ValueError, TypeError, AttributeError):
            return False

    def _comparable(self, value: Any) -> Any:
        """Unlike in Python, 1 is not true, nor 1.0."""
        return json.dumps(value) if self.ordered else sorted(map(json.dumps, value))


def kind_of(spec: Mapping[str, Any]) -> Kind:
    """The kind of a schema that takes no null (`params.plain`)."""
    if simple := _simple(spec):
        return simple
    match spec.get("type"):
        case "array" if isinstance(spec.get("items"), Mapping) and (item := _simple(spec["items"])):
            return _lines(item, not spec.get("uniqueItems"))
        case "object" if isinstance(spec.get("additionalProperties"), Mapping):
            if entry := _simple(spec["additionalProperties"]):
                return _entries(entry)
    return YAML


def _simple(spec: Mapping[str, Any]) -> Kind | None:
    """The kind of what is one value; None: it is something else."""
    spec, nullable = params.plain(spec)
    if nullable:
        return None
    if found := params.choices(spec):
        return _choice(found)
    match spec.get("type"), spec.get("format"):
        case "string", "date":
            return Kind("date", _matching(DATE), str)
        case "string", "time":
            return Kind("time", _matching(TIME), str)
        case "string", _:
            return LONG if spec.get("multiline") else TEXT
        case "integer", _:
            return Kind("integer", _number_as_text, _whole)
        case "number", "decimal":
            return Kind("number", _decimal_as_text, str.strip)
        case "number", _:
            return Kind("number", _number_as_text, _number)
        case "boolean", _:
            return SWITCH
    return None


# --- one value ----------------------------------------------------------------------------------------


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _in_one_line(value: Any) -> str:
    if "\n" in _as_text(value):
        raise ValueError(value)
    return str(value)


def _with_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n")


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        if not pattern.fullmatch(_as_text(value)):
            raise ValueError(value)
        return str(value)

    return write


def _number_as_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return json.dumps(value)


def _decimal_as_text(value: Any) -> str:
    number = _number(str(value))
    return str(value) if isinstance(value, str) and not isinstance(number, str) else _number_as_text(value)


def _whole(text: str) -> Any:
    return int(text) if WHOLE.fullmatch(text.strip()) else text


def _number(text: str) -> Any:
    if WHOLE.fullmatch(text.strip()):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _yes_or_no(value: Any) -> str:
    if not isinstance(value, bool):
        raise ValueError(value)
    return "true" if value else "false"


def _choice(found: list[Any]) -> Kind:
    """One of a few values, which may be numbers; each is written as text."""
    by_text = {_option(value): value for value in found}

    def write(value: Any) -> str:
        text = _option(value)
        if text not in by_text:
            raise ValueError(value)
        return text

    return Kind("choice", write, lambda text: by_text.get(text, text), tuple((text, text) for text in by_text))


def _option(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


TEXT = Kind("text", _in_one_line, str)
LONG = Kind("long", _as_text, _with_line_ends)
SWITCH = Kind("switch", _yes_or_no, lambda text: {"true": True, "false": False}.get(text, text))
YES_NO_NONE = _choice([True, False])  # a switch with a third position


# --- several values -----------------------------------------------------------------------------------


def _lines(item: Kind, ordered: bool) -> Kind:
    """A list, one value a line; empty lines don't count. Of a few values, ticks: in their order, each at most once."""

    def write(value: Any) -> str:
        return "\n".join(item.write(entry) for entry in value)

    def read(text: str) -> Any:
        return [item.read(line.strip()) for line in text.splitlines() if line.strip()]

    def read_ticks(text: str) -> Any:
        ticked = text.splitlines()
        known = [option for option, _ in item.options]
        in_order = [option for option in known if option in ticked]
        return [item.read(option) for option in (*in_order, *(other for other in ticked if other not in known))]

    if item.options:
        return Kind("ticks", write, read_ticks, item.options, ordered)
    return Kind("lines", write, read, (), ordered)


def _entries(entry: Kind) -> Kind:
    """A mapping, one `key = value` a line."""

    def write(value: Any) -> str:
        return "\n".join(f"{key} = {entry.write(of_key)}" for key, of_key in value.items())

    def read(text: str) -> Any:
        return {key: entry.read(value) for key, value in pairs(text, "key = value")}

    return Kind("entries", write, read, entry.options)


def pairs(text: str, form: str) -> list[tuple[str, str]]:
    """The keys and values of a text with one of them a line, in their order. Raises Unreadable."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not key:
            raise Unreadable(f"Line {number}: {line!r} is not allowed: write {form}.")
        if key in found:
            raise Unreadable(f"Line {number}: {key} is given twice.")
        found[key] = value
    return list(found.items())


def _read_yaml(text: str) -> Any:
    try:
        return loading.load_data(text, "YAML")
    except InvalidConfiguration as error:
        raise Unreadable(str(error)) from error


def yaml_of(value: Any) -> str:
    """A value as people read it: plain where it is one value, else over several lines."""
    return as_yaml(value).removesuffix("\n").removesuffix("\n...")


YAML = Kind("yaml", yaml_of, _read_yaml)
