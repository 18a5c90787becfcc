"""Reads a configuration file and checks all of it. Knows nothing of what is in force; writes nothing.

Every key is listed in docs/reference/configuration.md.
"""

from __future__ import annotations

import enum
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from pools import limits
from runs import run_limits, tag_limits
from runs.tag_limits import TagLimit

MOST_BYTES = 1024 * 1024
LARGEST_NUMBER = 2**63 - 1  # beyond it Python may refuse to write the number out

MAXIMUM = "concurrency.runs.max_concurrent_runs"
RULES = "concurrency.runs.tag_concurrency_limits"
DEFAULT_LIMIT = "concurrency.pools.default_limit"
LIMITS = "concurrency.pools.limits"

# Older spellings that Dagster accepts, and what to write instead.
_OLDER = {
    "run_queue": "concurrency.runs",
    "concurrency.run_queue": "concurrency.runs",
    "run_coordinator": "concurrency.runs",
    "default_op_concurrency_limit": DEFAULT_LIMIT,
    "concurrency.default_op_concurrency_limit": DEFAULT_LIMIT,
}
# Settings that can't be changed yet, and the one value that says what is so anyway.
_FIXED: dict[str, Any] = {
    "concurrency.pools.granularity": "op",
    "concurrency.pools.op_granularity_run_buffer": 0,
    "concurrency.runs.block_op_concurrency_limited_runs": {"enabled": False},
}


class Unset(enum.Enum):
    """The value of what a file does not mention: it is left alone."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True)
class Configuration:
    """What a file sets."""

    max_concurrent_runs: int | Unset | None = UNSET  # None: no limit (-1 in the file)
    tag_rules: tuple[TagLimit, ...] | Unset = UNSET  # all rules there shall be
    default_limit: int | Unset | None = UNSET  # None: pools without a limit of their own are unlimited
    pool_limits: Mapping[str, int] = field(default_factory=dict)


class InvalidConfiguration(ValueError):
    """A file that can't be applied. `errors` has one line for each thing that is wrong with it."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)


def read(path: str) -> Configuration:
    """What the file at `path` sets. Raises InvalidConfiguration."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidConfiguration([f"{path}: {error.strerror or error}"]) from error
    if len(data) > MOST_BYTES:
        raise InvalidConfiguration([f"{path}: it is larger than {MOST_BYTES} bytes: this is no configuration file."])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidConfiguration([f"{path}: it is not UTF-8 text (byte {error.start})."]) from error
    return parse(text, path)


def parse(text: str, name: str = "the file") -> Configuration:
    """What a text in YAML sets. Raises InvalidConfiguration with everything that is wrong; `name` is for its texts."""
    document = _load(text, name)
    if document is not None and not isinstance(document, Mapping):
        raise InvalidConfiguration([f"{name}: {_shown(document)} is not allowed: begin with `concurrency:`."])
    check = _Check()
    top = check.section(document, "", "concurrency")
    concurrency = check.section(top.get("concurrency"), "concurrency", "runs", "pools")
    runs = check.section(concurrency.get("runs"), "concurrency.runs", "max_concurrent_runs", "tag_concurrency_limits")
    pools = check.section(concurrency.get("pools"), "concurrency.pools", "default_limit", "limits")
    found = Configuration(
        max_concurrent_runs=check.maximum(runs["max_concurrent_runs"]) if "max_concurrent_runs" in runs else UNSET,
        tag_rules=check.rules(runs["tag_concurrency_limits"]) if "tag_concurrency_limits" in runs else UNSET,
        default_limit=check.default_limit(pools["default_limit"]) if "default_limit" in pools else UNSET,
        pool_limits=check.pool_limits(pools.get("limits")),
    )
    if check.errors:
        raise InvalidConfiguration(check.errors)
    return found


class _Check:
    """Checks one part of a document after the other, and collects what is wrong."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def section(self, value: Any, path: str, *allowed: str) -> Mapping[str, Any]:
        """The entries of a mapping whose names are known; nothing at all is an empty one."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._object(path, value, f"use a mapping with {', '.join(allowed)}")
            return {}
        for name in value:
            at = f"{path}.{name}" if path else str(name)
            if name in allowed:
                continue
            if at in _FIXED:
                self._fixed(at, value[name])
            elif at in _OLDER:
                self._say(f"{at}: this older spelling is not read: write {_OLDER[at]}.")
            else:
                settled = [known.rpartition(".")[2] for known in _FIXED if known.rpartition(".")[0] == path]
                self._say(f"{at}: unknown; allowed: {', '.join((*allowed, *settled))}.")
        return {name: value[name] for name in allowed if name in value}

    def maximum(self, value: Any) -> int | None:
        try:
            return run_limits.parse_maximum(value if type(value) is int else _Strange(value))
        except run_limits.InvalidMaximum as error:
            self._say(f"concurrency.runs.{error}")
            return None

    def rules(self, value: Any) -> tuple[TagLimit, ...]:
        if not isinstance(value, list):
            self._object(RULES, value, "use a list of rules; [] for none")
            return ()
        found: dict[tuple[str, str | None, bool], TagLimit] = {}
        for index, entry in enumerate(value):
            where = f"{RULES}[{index}]"
            try:
                rule = tag_limits.parse_one(entry, where)
            except tag_limits.InvalidTagLimit as error:
                self._say(str(error))
                continue
            if rule.identity in found:
                self._say(f"{where}: there is a rule for {rule.label} already; name each rule once.")
            found[rule.identity] = rule
        return tuple(found.values())

    def default_limit(self, value: Any) -> int | None:
        return None if value is None else self._limit(value, DEFAULT_LIMIT)

    def pool_limits(self, value: Any) -> dict[str, int]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._object(LIMITS, value, "use a mapping of pools and their limits")
            return {}
        for name in value:
            try:
                limits.pool_name(name)
            except limits.InvalidLimit as error:
                quoted = "" if isinstance(name, str) else " Put a name that YAML reads as something else in quotes."
                self._say(f"{LIMITS}: {error}{quoted}")
        return {name: self._limit(limit, f"{LIMITS}.{name}") for name, limit in value.items()}

    def _limit(self, value: Any, path: str) -> int:
        try:
            return limits.pool_limit(value if type(value) is int else _Strange(value), path)
        except limits.InvalidLimit as error:
            self._say(str(error))
            return 0

    def _fixed(self, path: str, value: Any) -> None:
        only = _FIXED[path]
        if type(value) is not type(only) or value != only:
            self._object(path, value, f"this version knows only {_in_yaml(only)}")

    def _object(self, path: str, value: Any, otherwise: str) -> None:
        self._say(f"{path}: {_shown(value)} is not allowed: {otherwise}.")

    def _say(self, line: str) -> None:
        line = " ".join(line.split())
        self.errors.append(line if len(line) <= 500 else line[:499] + "…")


class _Strange:
    """A value of another type than a whole number: the checks of limits take text too, the file does not."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return _shown(self.value)


def _shown(value: Any) -> str:
    """A value for an error, however large it is."""
    return reprlib.repr(value)


def _in_yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that stands twice in a mapping: the last would win silently."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(None, None, f"the key {key.value} stands twice", key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = super().construct_yaml_int(node)
        if abs(number) > LARGEST_NUMBER:
            raise yaml.constructor.ConstructorError(None, None, "this number is too large", node.start_mark)
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _load(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        where = f"line {at.line + 1}, column {at.column + 1}: " if at else ""
        raise InvalidConfiguration(
            [f"{name}: {where}{_one_line(error.problem or error.context or 'no YAML')}."]
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidConfiguration([f"{name}: no YAML: {_one_line(error)}."]) from error


def _one_line(text: object) -> str:
    return " ".join(str(text).split()).rstrip(".")
