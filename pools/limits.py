"""What a pool's name, a limit and a weight may be. Everything that people write about slots passes here."""

from __future__ import annotations

import re
import reprlib
from typing import Any

MAX_LIMIT = 100_000
MOST_SHOWN = 100  # characters of a value in an error

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
_repr.maxlevel = 3


class InvalidLimit(ValueError):
    """A limit, a pool's name or a weight that is not allowed. The text names the value and what is allowed."""


def pool_name(value: Any) -> str:
    """`value`, if it is a pool's name: one or more characters without white space."""
    if (
        not isinstance(value, str)
        or not value
        or len(value) > 200
        or any(c.isspace() or not c.isprintable() for c in value)
    ):
        raise InvalidLimit(f"{shown(value)} is not a pool's name: use 1 to 200 characters without white space.")
    return value


def pool_limit(value: Any, what: str = "limit") -> int:
    """`value` as a pool's limit: a whole number from 0 to 100000; 0 lets nothing start."""
    number = whole(value)
    if number is None or not 0 <= number <= MAX_LIMIT:
        raise InvalidLimit(f"{what}: {shown(value)} is not allowed: use a whole number from 0 to {MAX_LIMIT}.")
    return number


def weights(value: Any) -> dict[str, int]:
    """What an op writes as `pool=`: a name, or names with the slots it takes of each."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {pool_name(value): 1}
    if not isinstance(value, dict):
        raise InvalidLimit(f"pool: {shown(value)} is not allowed: use a name, or a dict such as {{'database': 2}}.")
    for name, slots in value.items():
        pool_name(name)
        if type(slots) is not int or not 1 <= slots <= MAX_LIMIT:
            raise InvalidLimit(
                f"pool {shown(name)}: {shown(slots)} slots is not allowed: use a whole number from 1 to {MAX_LIMIT}."
            )
    return dict(value)


def whole(value: Any) -> int | None:
    """`value` as an int if it is one, or is written as one; None for anything else (True, 2.5, "two")."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[+-]?[0-9]{1,20}", text):
            return int(text)
    return None


def shown(value: Any) -> str:
    """A value as an error shows it: short, however large it is, and in one line."""
    text = " ".join(_repr.repr(value).split())
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def named(key: Any) -> str:
    """A key as a part of a path in an error: quoted if it could be mistaken for something else, and never long."""
    text = str(key) if isinstance(key, str | bool | int | None) else ""
    return text if 0 < len(text) <= 60 and text.isprintable() and " " not in text else shown(key)
