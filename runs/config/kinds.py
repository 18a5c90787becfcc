"""The kinds of values that a configuration file has: each checks a value, and says the same in JSON Schema.

What a value means and how it is written to the database is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pools import limits
from pools.limits import named, shown
from runs import run_limits, tag_limits
from runs.config.values import UNSET, ListedPool, Unset
from runs.tag_limits import TagLimit

Say = Callable[[str], None]  # takes a line about something that is wrong
DEFAULT = "default"  # a pool's granularity: the one of all pools

# Characters that names and tags can't have. The checks refuse everything that Python can't print; this is
# what regular expressions of every language can say of it.
_SPACES = r"\s\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_UNPRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u2064\u2066-\u206f\u3000\ue000-\uf8ff\ufeff"
)


class Kind(Protocol):
    """A kind of value."""

    def read(self, value: Any, path: str, say: Say) -> Any:
        """The value as `Configuration` keeps it; UNSET when it is wrong, which has been said then."""

    def schema(self) -> dict[str, Any]:
        """What is allowed, in JSON Schema."""


class Maximum:
    """How many runs may be in progress; -1 for no limit."""

    def read(self, value: Any, path: str, say: Say) -> int | Unset | None:
        try:
            return run_limits.parse_maximum(value if type(value) is int else Strange(value))
        except run_limits.InvalidMaximum as error:
            say(f"{path.rpartition('.')[0]}.{error}")
            return UNSET

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": run_limits.NO_LIMIT, "maximum": tag_limits.MAX_LIMIT}


class Slots:
    """A number of slots."""

    def read(self, value: Any, path: str, say: Say) -> int | Unset:
        try:
            return limits.pool_limit(value if type(value) is int else Strange(value), path)
        except limits.InvalidLimit as error:
            say(str(error))
            return UNSET

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0, "maximum": limits.MAX_LIMIT}


class Default:
    """A number of slots, or null for no limit."""

    def read(self, value: Any, path: str, say: Say) -> int | Unset | None:
        if value is None:
            return None
        return Slots().read(value, path, lambda line: say(f"{line.removesuffix('.')}, or null for no limit."))

    def schema(self) -> dict[str, Any]:
        return Slots().schema() | {"type": ["integer", "null"]}


class Word:
    """One of some words; what each of them means to `Configuration`."""

    def __init__(self, meant: Mapping[str | None, str | Unset]) -> None:
        self.meant = meant

    def read(self, value: Any, path: str, say: Say) -> str | Unset:
        if value is None or isinstance(value, str):
            found = self.meant.get(value)
            if found is not None:
                return found
        words = [word for word in self.meant if word is not None]
        say(f"{path}: {shown(value)} is not allowed: use {', '.join(words[:-1])} or {words[-1]}.")
        return UNSET

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.meant)}


class Flag:
    """true or false."""

    def read(self, value: Any, path: str, say: Say) -> bool | Unset:
        if isinstance(value, bool):
            return value
        say(f"{path}: {shown(value)} is not allowed: use true or false.")
        return UNSET

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Rules:
    """A list of tag rules."""

    def read(self, value: Any, path: str, say: Say) -> tuple[TagLimit, ...] | Unset:
        if not isinstance(value, list):
            say(f"{path}: {shown(value)} is not allowed: use a list of rules; [] for none.")
            return UNSET
        found: dict[tuple[str, str | None, bool], TagLimit] = {}
        for index, entry in enumerate(value):
            where = f"{path}[{index}]"
            try:
                rule = tag_limits.parse_one(entry, where)
            except tag_limits.InvalidTagLimit as error:
                say(str(error))
                continue
            if rule.identity in found:
                say(f"{where}: {tag_limits.DOUBLE.format(rule.short)}")
            found[rule.identity] = rule
        return tuple(found.values())

    def schema(self) -> dict[str, Any]:
        printable = {"not": {"pattern": f"[{_UNPRINTABLE}]"}}
        per_value = {
            "type": "object",
            "properties": {tag_limits.PER_VALUE: {"type": "boolean"}},
            "required": [tag_limits.PER_VALUE],
            "additionalProperties": False,
        }
        rule = {
            "type": "object",
            "properties": {
                "key": {"type": "string", "minLength": 1, "maxLength": tag_limits.MAX_KEY} | printable,
                "limit": {"type": "integer", "minimum": 0, "maximum": tag_limits.MAX_LIMIT},
                "value": {
                    "anyOf": [
                        {"type": "string", "maxLength": tag_limits.MAX_VALUE} | printable,
                        {"type": "null"},
                        per_value,
                    ]
                },
            },
            "required": ["key", "limit"],
            "additionalProperties": False,
        }
        return {"type": "array", "items": rule, "uniqueItems": True}


GRANULARITY = Word({"op": "op", "run": "run"})
OWN_GRANULARITY = Word({"op": "op", "run": "run", DEFAULT: "", None: UNSET})


class Pools:
    """Pools, each with its limit, or with a mapping of what is its own. Nothing at all is not a list of pools."""

    def read(self, value: Any, path: str, say: Say) -> dict[str, ListedPool] | Unset:
        if value is None:
            return UNSET
        if not isinstance(value, Mapping):
            say(f"{path}: {shown(value)} is not allowed: use a mapping of pools and their limits.")
            return UNSET
        return {name: self._pool(name, pool, path, say) for name, pool in value.items()}

    def _pool(self, name: Any, value: Any, path: str, say: Say) -> ListedPool:
        try:
            limits.pool_name(name)
        except limits.InvalidLimit as error:
            quoted = "" if isinstance(name, str) else " Put a name that YAML reads as something else in quotes."
            say(f"{path}: {error}{quoted}")
            return ListedPool()
        at = f"{path}.{name}"
        if not isinstance(value, Mapping):
            return ListedPool(Slots().read(value, at, say))
        for key in value:
            if key not in ("limit", "granularity"):
                say(f"{at}.{named(key)}: unknown; allowed: limit, granularity.")
        limit = Slots().read(value["limit"], f"{at}.limit", say) if "limit" in value else UNSET
        granularity = OWN_GRANULARITY.read(value.get("granularity"), f"{at}.granularity", say)
        return ListedPool(limit, granularity)

    def schema(self) -> dict[str, Any]:
        pool = {
            "type": "object",
            "properties": {"limit": Slots().schema(), "granularity": OWN_GRANULARITY.schema()},
            "additionalProperties": False,
        }
        name = {"minLength": 1, "maxLength": 200, "not": {"pattern": f"[{_SPACES}{_UNPRINTABLE}]"}}
        return {
            "type": ["object", "null"],
            "propertyNames": name,
            "additionalProperties": {"anyOf": [Slots().schema(), pool]},
        }


class Strange:
    """A value of another type than a whole number: the checks of limits take text too, the file does not."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return shown(self.value)
