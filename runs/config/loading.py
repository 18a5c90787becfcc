"""Reads YAML into plain values, and says in one line why a text is no YAML. Knows no key of ours.

PyYAML's safe loader, and stricter where it would be silent (a key that stands twice) or would let a small
file fill the memory (a number of a million digits, merges of merges).
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import yaml

from pools.limits import shown
from runs.config.values import InvalidConfiguration
from runs.definitions.checks import is_storable

MOST_BYTES = 1024 * 1024
LARGEST_NUMBER = 2**63 - 1  # beyond it Python may refuse to write the number out
MOST_DEEP = 50  # what a person types; whoever goes through it recurses
MERGE = "tag:yaml.org,2002:merge"
TEXT = "tag:yaml.org,2002:str"


def text_of(path: str) -> str:
    """The text of the file at `path`. Raises InvalidConfiguration."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InvalidConfiguration([f"{path}: {getattr(error, 'strerror', None) or error}"]) from error
    if len(data) > MOST_BYTES:
        raise InvalidConfiguration([f"{path}: it is larger than {MOST_BYTES} bytes: this is no configuration file."])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidConfiguration([f"{path}: it is not UTF-8 text (byte {error.start})."]) from error


def load(text: str, name: str) -> Any:
    """What a text in YAML says. Raises InvalidConfiguration; `name` is for its text."""
    return _load(text, name, _Loader)


def load_data(text: str, name: str) -> Any:
    """The same for values that somebody types: nothing but what JSON has, and every word is what it looks like.

    A time, a date, `yes` and `no` are texts (YAML 1.1 reads 10:30 as 630 and NO as false), 010 is ten, every key is a
    text. An alias is refused: a few lines of them would be gigabytes. So is what no database keeps.
    """
    return _load(text, name, _DataLoader)


def _load(text: str, name: str, loader: type[yaml.SafeLoader]) -> Any:
    try:
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        where = f"line {at.line + 1}, column {at.column + 1}: " if at else ""
        raise InvalidConfiguration([f"{name}: {where}{_one_line(error.problem or error.context)}."]) from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the last two: "\U0014243E"
        raise InvalidConfiguration([f"{name}: no YAML: {_one_line(error)}."]) from error


class _Loader(yaml.SafeLoader):
    """See the top of this file."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            self.see_key(key)
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if (key.tag, key.value) in seen:
                    problem = f"the key {_cut(key.value)} stands twice"
                    raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def see_key(self, key: yaml.Node) -> None:
        """Called with every key before it is looked at."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """What is merged many times over counts once, so that merges of merges don't multiply."""
        super().flatten_mapping(node)
        last: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            last[(key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)] = (key, value)
        node.value = list(last.values())

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A scalar that does not fit its tag (`!!int x`, a 13th month) raises whatever its parsing raises."""
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problem = f"{shown(node.value) if isinstance(node, yaml.ScalarNode) else 'this'} is no {_kind(node.tag)}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = super().construct_yaml_int(node)
        if abs(number) > LARGEST_NUMBER:
            raise yaml.constructor.ConstructorError(None, None, "this number is too large", node.start_mark)
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _DataLoader(_Loader):
    """See `load_data`. What is a number, and what is not a text, is as in YAML 1.2."""

    yaml_implicit_resolvers: dict[Any, Any] = {}
    yaml_constructors = {
        tag: construct
        for tag, construct in _Loader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
    }

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias is not allowed", self.peek_event().start_mark)
        self._depth += 1
        if self._depth > MOST_DEEP:
            problem = f"this is nested more than {MOST_DEEP} deep"
            raise yaml.composer.ComposerError(None, None, problem, self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def see_key(self, key: yaml.Node) -> None:
        if isinstance(key, yaml.ScalarNode):
            key.tag = TEXT

    def construct_scalar(self, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode) and not is_storable(node.value):
            problem = "this has a character that no database keeps"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_scalar(node)

    def construct_undefined(self, node: yaml.Node) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, f"{_cut(node.tag)} is not allowed", node.start_mark)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        node.value = re.sub("^([+-]?)0+(?=[0-9])", r"\1", node.value)  # or it would be octal
        return super().construct_yaml_int(node)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        number = super().construct_yaml_float(node)
        if not math.isfinite(number):
            raise yaml.constructor.ConstructorError(None, None, f"{_cut(node.value)} is not finite", node.start_mark)
        return number


_DataLoader.add_constructor(None, _DataLoader.construct_undefined)
_DataLoader.add_constructor("tag:yaml.org,2002:int", _DataLoader.construct_yaml_int)
_DataLoader.add_constructor("tag:yaml.org,2002:float", _DataLoader.construct_yaml_float)
for _name, _looks, _begins in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _DataLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_looks})$"), _begins)


def _kind(tag: str) -> str:
    """`timestamp` for a tag such as tag:yaml.org,2002:timestamp."""
    return _cut(tag.rpartition(":")[2])


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _one_line(text: object) -> str:
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= 300 else f"{line[:299]}…"
