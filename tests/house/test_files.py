"""How the files of the project look: their size, their names, their words about what they are for."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.code import ROOT, sources

LONGEST = 350  # lines
NO_ROOMS = {"utils", "util", "helpers", "helper", "common", "misc", "services", "managers", "base_classes"}


def own_files(*suffixes: str) -> list[str]:
    """Files of the project, what others wrote aside."""
    folders = ("pools", "runs", "controlplane", "examples", "templates", "static")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path.relative_to(ROOT).as_posix() for path in found if not {"migrations", "vendor"} & set(path.parts))


def test_no_file_is_longer_than_one_sitting():
    lines = {path: (ROOT / path).read_text().count("\n") for path in own_files(".py", ".html", ".js")}
    assert len(lines) > 40
    too_long = {path: count for path, count in lines.items() if count > LONGEST}
    assert too_long == {}


def test_no_file_is_named_after_nothing():
    named = [path for path in own_files(".py", ".html", ".js") if re.split(r"[/.]", path)[-2].strip("_") in NO_ROOMS]
    assert named == []


def test_every_module_says_what_lives_in_it():
    silent = [s.path for s in sources() if s.tree.body and not ast.get_docstring(s.tree)]
    assert silent == []


@pytest.mark.parametrize("room", ["pools", "runs", "controlplane"])
def test_every_public_signature_has_types(room):
    missing = []
    for source in sources(room):
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            untyped = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            if untyped or node.returns is None:
                missing.append(f"{source.path}:{node.lineno} {node.name}")
    assert missing == []


@pytest.mark.parametrize("path", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_pinned_and_says_why_it_is_there(path):
    said = False
    for line in (ROOT / path).read_text().splitlines():
        if not line.strip():
            said = False
        elif line.startswith("#"):
            said = True
        elif not line.startswith("-r "):
            assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][0-9A-Za-z.]*", line), (
                f"{path}: {line} is not pinned"
            )
            assert said, f"{path}: {line} does not say why it is there"
