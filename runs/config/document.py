"""Reads a configuration file and checks all of it. Knows nothing of what is in force; writes nothing.

Every key is listed in docs/reference/configuration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pools.limits import named, shown
from runs.config.loading import load, text_of
from runs.config.shape import INSTEAD, SHAPE, Section, Setting
from runs.config.values import Configuration, InvalidConfiguration

LONGEST_LINE = 500


def read(path: str) -> Configuration:
    """What the file at `path` sets. Raises InvalidConfiguration."""
    return parse(text_of(path), path)


def parse(text: str, name: str = "the file") -> Configuration:
    """What a text in YAML sets. Raises InvalidConfiguration with everything that is wrong; `name` is for its texts."""
    document = load(text, name)
    if document is not None and not isinstance(document, Mapping):
        raise InvalidConfiguration([f"{name}: {shown(document)} is not allowed: begin with `concurrency:`."])
    check = _Check()
    check.section(document, "", SHAPE)
    found = check.values()
    if check.errors:
        raise InvalidConfiguration(check.errors)
    return Configuration(**found)


class _Check:
    """Goes through a document, and collects what it sets and what is wrong."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._found: dict[str, list[tuple[str, Setting, Any]]] = {}

    def section(self, value: Any, path: str, shape: Section) -> None:
        """Look for the keys of a section; nothing at all is an empty one."""
        if value is None:
            return
        if not isinstance(value, Mapping):
            self._say(f"{path}: {shown(value)} is not allowed: use a mapping with {', '.join(shape)}.")
            return
        for name in value:
            if name not in shape:
                at = _join(path, named(name))
                self._say(f"{at}: {INSTEAD.get(at) or 'unknown; allowed: ' + ', '.join(shape) + '.'}")
        for name, part in shape.items():
            if name not in value:
                continue
            if isinstance(part, Setting):
                self._found.setdefault(part.field, []).append((_join(path, name), part, value[name]))
            else:
                self.section(value[name], _join(path, name), part)

    def values(self) -> dict[str, Any]:
        """The values that were found, by the fields of `Configuration`."""
        values: dict[str, Any] = {}
        for field, written in self._found.items():
            for path, setting, value in written:
                values.setdefault(field, setting.kind.read(value, path, self._say))
            first = written[0][0]
            for path, _, value in written[1:]:
                self._say(f"{path}: {shown(value)} is not allowed: {first} is the same setting; use one of the two.")
        return values

    def _say(self, line: str) -> None:
        line = " ".join(line.split())
        self.errors.append(line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
