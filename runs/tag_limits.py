"""A limit on how many things with a tag may be in progress: its three kinds, and what each of them counts.

The same rule serves the executor of a job (matched against op tags) and the run queue (matched against
run tags): sections 5 and 6 of docs/reference/semantics.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
        raise InvalidTagLimit(f"{where}: {value!r} is not allowed: use a list of rules.")
    found: list[TagLimit] = []
    for index, entry in enumerate(value):
        rule = parse_one(entry, f"{where}[{index}]")
        if any(rule.identity == other.identity for other in found):
            raise InvalidTagLimit(f"{where}[{index}]: there is a rule for {rule.label} already; name each rule once.")
        found.append(rule)
    return found


def parse_one(entry: Any, where: str = "rule") -> TagLimit:
    """One rule: `{key, value, limit}` with an optional value. Raises InvalidTagLimit."""
    if not isinstance(entry, Mapping):
        raise InvalidTagLimit(f"{where}: {entry!r} is not allowed: use key, value and limit.")
    unknown = sorted(str(name) for name in entry if name not in ("key", "value", "limit"))
    if unknown:
        raise InvalidTagLimit(f"{where}.{unknown[0]}: unknown; a rule has key, value and limit.")
    key, limit, value = entry.get("key"), entry.get("limit"), entry.get("value")
    if not isinstance(key, str) or not key or len(key) > 200 or not key.isprintable():
        raise InvalidTagLimit(f"{where}.key: {key!r} is not allowed: use the name of a tag, 1 to 200 characters.")
    if type(limit) is not int or not 0 <= limit <= 2**31 - 1:
        raise InvalidTagLimit(f"{where}.limit: {limit!r} is not allowed: use a whole number, 0 or more.")
    if value is None or value == {"applyLimitPerUniqueValue": False}:
        return TagLimit(key, limit)
    if value == {"applyLimitPerUniqueValue": True}:
        return TagLimit(key, limit, per_value=True)
    if isinstance(value, str) and len(value) <= 500 and value.isprintable():
        return TagLimit(key, limit, value=value)
    raise InvalidTagLimit(
        f"{where}.value: {value!r} is not allowed: "
        "use a string, or {applyLimitPerUniqueValue: true}, or leave it out."
    )
