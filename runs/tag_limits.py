"""A limit on how many things with a tag may be in progress: its three kinds, and what each of them counts.

The same rule serves the executor of a job (matched against op tags) and the run queue (matched against
run tags): sections 5 and 6 of docs/reference/semantics.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pools.limits import named, shown
from runs import system_tags

PER_VALUE = "applyLimitPerUniqueValue"
MAX_LIMIT = 2**31 - 1
MAX_KEY, MAX_VALUE = 200, 500  # characters
DOUBLE = "there is a rule for {} already; name each rule once."


class InvalidTagLimit(ValueError):
    """A tag limit that is not allowed. The text names the field, the value and what is allowed."""


@dataclass(frozen=True)
class TagLimit:
    """`value` None counts every value: together, or each on its own with `per_value`. Limit 0 lets none start."""

    key: str
    limit: int
    value: str | None = None
    per_value: bool = False

    @property
    def identity(self) -> tuple[str, str | None, bool]:
        """What makes two rules the same rule, whatever their limits."""
        return (self.key, self.value, self.per_value)

    @property
    def label(self) -> str:
        """The rule in words: `team=growth`, `team`, `each team`."""
        if self.value is not None:
            return f"{self.key}={self.value}"
        return f"each {self.key}" if self.per_value else self.key

    @property
    def short(self) -> str:
        """Its label, cut for the line of an error."""
        return self.label if len(self.label) <= 100 else f"{self.label[:99]}…"

    def counts(self, tags: Mapping[str, str]) -> str | None:
        """Under which heading this rule counts something with these tags; None: it does not match.

        The heading is the tag's value for a rule per value, else the empty string: one count for all.
        """
        if self.key not in tags:
            return None
        value = tags[self.key]
        if self.per_value:
            return value
        return "" if self.value is None or self.value == value else None


def parse(value: Any, where: str = "tag_concurrency_limits") -> list[TagLimit]:
    """The rules that `value` lists, in the shape of Dagster's configuration.

    Raises InvalidTagLimit for anything else, a negative limit, or the same rule twice.
    """
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InvalidTagLimit(f"{where}: {shown(value)} is not allowed: use a list of rules.")
    found: list[TagLimit] = []
    for index, entry in enumerate(value):
        rule = parse_one(entry, f"{where}[{index}]")
        if any(rule.identity == other.identity for other in found):
            raise InvalidTagLimit(f"{where}[{index}]: {DOUBLE.format(rule.short)}")
        found.append(rule)
    return found


def parse_one(entry: Any, where: str = "rule") -> TagLimit:
    """One rule: `{key, value, limit}` with an optional value. Raises InvalidTagLimit."""
    if not isinstance(entry, Mapping):
        raise InvalidTagLimit(f"{where}: {shown(entry)} is not allowed: use key, value and limit.")
    unknown = sorted(named(name) for name in entry if name not in ("key", "value", "limit"))
    if unknown:
        raise InvalidTagLimit(f"{where}.{unknown[0]}: unknown; allowed: key, value, limit.")
    key, limit, value = entry.get("key"), entry.get("limit"), entry.get("value")
    if not isinstance(key, str) or not key or len(key) > MAX_KEY or not key.isprintable():
        raise InvalidTagLimit(
            f"{where}.key: {shown(key)} is not allowed: use the name of a tag, 1 to {MAX_KEY} characters."
        )
    if key == system_tags.PRIORITY:
        raise InvalidTagLimit(f"{where}.key: {key!r} is not allowed: it orders what waits; use another tag.")
    if type(limit) is not int or not 0 <= limit <= MAX_LIMIT:
        raise InvalidTagLimit(f"{where}.limit: {shown(limit)} is not allowed: use a whole number, 0 or more.")
    if value is None:
        return TagLimit(key, limit)
    if isinstance(value, Mapping) and list(value) == [PER_VALUE] and isinstance(value[PER_VALUE], bool):
        return TagLimit(key, limit, per_value=value[PER_VALUE])
    if isinstance(value, str) and len(value) <= MAX_VALUE and value.isprintable():
        return TagLimit(key, limit, value=value)
    raise InvalidTagLimit(
        f"{where}.value: {shown(value)} is not allowed: "
        f"use a string of at most {MAX_VALUE} characters, or {{{PER_VALUE}: true}}, or leave it out."
    )
