"""Reads the project's own files for the house tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("pools", "runs", "controlplane")


@dataclass(frozen=True)
class Source:
    """A Python file of the project."""

    path: str  # from the root, with slashes

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def imports(self) -> set[str]:
        """Every module that it imports anywhere, type checking aside; for `from a import b` both a and a.b."""
        found: set[str] = set()
        for node in _run_time_nodes(self.tree):
            if isinstance(node, ast.Import):
                found.update(name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
                found.update(f"{node.module}.{name.name}" for name in node.names)
        return found

    def imports_any(self, *modules: str) -> bool:
        """Whether it imports one of these modules or something inside them."""
        return any(name == module or name.startswith(f"{module}.") for name in self.imports for module in modules)


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _run_time_nodes(node)


def sources(*rooms: str) -> list[Source]:
    """The Python files of these rooms (all without any), migrations aside."""
    found = [
        path.relative_to(ROOT).as_posix()
        for room in rooms or ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if "migrations" not in path.parts
    ]
    assert found, f"no files in {rooms}"
    return [Source(path) for path in found]


def paths(found: Iterator[Source] | list[Source]) -> list[str]:
    return [source.path for source in found]
