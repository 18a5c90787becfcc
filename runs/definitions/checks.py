"""What every definition must satisfy: its names and its tags; and that none gets lost."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from runs import system_tags

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST_NAME = 200
QUEUE = re.compile(r"[A-Za-z0-9_.-]{1,100}")

MADE = "__sluice_made__"  # where a module notes what was made in it
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class DefinitionError(Exception):
    """A definition that is not allowed. The text says which, and what is allowed."""


def checked_name(name: Any, what: str) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise DefinitionError(
            f"{what}: {name!r} is not a name: use letters, digits and '_', not starting with a digit."
        )
    return name


def checked_queue(name: Any, where: str) -> str:
    """The name of an RQ queue. Raises DefinitionError."""
    if not isinstance(name, str) or not QUEUE.fullmatch(name):
        raise DefinitionError(f"{where} {name!r} is not allowed: use letters, digits, '_', '.' and '-'.")
    return name


def checked_seconds(value: Any, where: str) -> float | None:
    """A span of time in seconds, more than 0 and a year at most. None: there is no bound. Raises DefinitionError."""
    if value is None:
        return None
    seconds = None if isinstance(value, str) else system_tags.as_seconds(value)
    if seconds is None:
        raise DefinitionError(
            f"{where} {value!r} is not allowed: use seconds, more than 0, at most {system_tags.MOST_SECONDS}."
        )
    return seconds


def checked_count(value: Any, where: str, most: int) -> int | None:
    """A whole number from 0 on, or None. Raises DefinitionError."""
    if value is None or (type(value) is int and 0 <= value <= most):
        return value
    raise DefinitionError(f"{where} {value!r} is not allowed: use a whole number, 0 to {most}.")


def checked_description(text: Any, fn: Any, where: str) -> str:
    """What is shown of a definition: its description, or its function's docstring."""
    if not isinstance(text, str | None):
        raise DefinitionError(f"{where}: description {text!r} is not allowed: use a text.")
    return (text or (inspect.getdoc(fn) if fn else None) or "").strip()


def checked_tags(tags: Any, where: str) -> dict[str, str]:
    """Tags as strings. Numbers are written out; anything else is refused with DefinitionError."""
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise DefinitionError(f"{where}: tags {tags!r} is not allowed: use a dict.")
    for key, value in tags.items():
        if not isinstance(key, str) or not key or len(key) > 200 or not is_storable(key):
            raise DefinitionError(f"{where}: tag {key!r} is not allowed: use a name of 1 to 200 characters.")
        if (
            not isinstance(value, str | int | float)
            or isinstance(value, bool)
            or len(str(value)) > 500
            or not is_storable(str(value))
        ):
            raise DefinitionError(
                f"{where}: tag {key}: {value!r} is not allowed: use a string of at most 500 characters."
            )
    return {key: str(value) for key, value in tags.items()}


def is_storable(text: str) -> bool:
    """Whether every database keeps this text: PostgreSQL refuses NUL, and nobody can write half a surrogate pair."""
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """The text as every database keeps it, with a replacement character for what none does."""
    return _UNSTORABLE.sub("�", text)


def note(definition: Any, namespace: dict[str, Any]) -> None:
    """Note in a module's namespace that this was made there: the second of two with one name hides the first."""
    namespace.setdefault(MADE, []).append(definition)
