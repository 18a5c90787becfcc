"""Each thing is done in the one room that is for it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.house.code import ROOT, paths, sources

# Plain Python: the standard library, and each other.
PLAIN = (
    "controlplane/dashboard/charts/__init__.py",
    "controlplane/dashboard/charts/geometry.py",
    "controlplane/dashboard/charts/picture.py",
    "controlplane/dashboard/charts/ranges.py",
    "controlplane/dashboard/layered.py",
    "pools/audit/books.py",
    "pools/audit/drift.py",
    "pools/rules.py",
    "pools/limits.py",
    "pools/samples/histogram.py",
    "pools/rehearsal.py",
    "runs/admission.py",
    "runs/audit/drift.py",
    "runs/context.py",
    "runs/graph.py",
    "runs/interrupts.py",
    "runs/retry.py",
    "runs/spans.py",
    "runs/states.py",
    "runs/system_tags.py",
    "runs/tag_limits.py",
    "runs/verdict.py",
    *(path for path in (source.path for source in sources("runs")) if path.startswith("runs/definitions/")),
)
# Those that decide: they take the time as an argument.
CLOCKLESS = tuple(path for path in PLAIN if path != "runs/interrupts.py")


def test_imports_go_one_way():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_only_claims_and_transitions_open_a_cursor_or_lock_rows():
    means = re.compile(r"\.cursor\(|select_for_update|FOR UPDATE|advisory|executescript")
    users = [s for s in sources() if means.search(s.text) or s.imports_any("pools.claims.lock")]
    rooms = ("pools/claims/", "runs/transitions/")
    assert paths(users) == [path for path in paths(users) if path.startswith(rooms)]
    assert {path.partition("/")[0] for path in paths(users)} == {"pools", "runs"}


def test_only_the_page_of_state_writes_a_state():
    writes = re.compile(r"\bSET\s+state\b|\.update\([^)]*\bstate\s*=|\.state\s*=[^=]")
    writers = paths([s for s in sources() if writes.search(s.text)])
    assert writers
    assert writers == [path for path in writers if path.startswith("runs/transitions/")]


def test_only_three_rooms_import_rq():
    rooms = ["runs/rq_side.py", "runs/tickets.py", "runs/worker.py"]
    assert paths([s for s in sources() if s.imports_any("rq", "django_rq")]) == rooms


def test_only_controlplane_speaks_http():
    web = ("django.http", "django.shortcuts", "django.urls", "django.views", "django.template", "uvicorn")
    assert paths([s for s in sources("pools", "runs") if s.imports_any(*web)]) == []


def test_no_model_signals():
    signals = [s for s in sources() if s.imports_any("django.db.models.signals", "django.dispatch")]
    assert paths(signals) == []


def test_rows_are_saved_only_by_being_born():
    """Afterwards a guarded update says what it expects to find."""
    saves = re.compile(r"(?<!\])\.save\(")
    assert paths([s for s in sources("pools", "runs") if saves.search(s.text)]) == []


@pytest.mark.parametrize("path", PLAIN)
def test_plain_rooms_import_only_the_standard_library(path):
    (source,) = [s for s in sources() if s.path == path]
    allowed = {plain.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for plain in PLAIN}
    for name in source.imports:
        known = name in allowed or name.rpartition(".")[0] in allowed or name in ("pools", "runs")
        assert known or name.partition(".")[0] in sys.stdlib_module_names, f"{path} imports {name}"


@pytest.mark.parametrize("path", CLOCKLESS)
def test_plain_rooms_have_no_clock(path):
    (source,) = [s for s in sources() if s.path == path]
    assert not source.imports_any("time")
    called = {node.attr for node in ast.walk(source.tree) if isinstance(node, ast.Attribute)}
    assert not called & {"now", "utcnow", "today", "monotonic"}


def test_authors_need_no_django():
    """What authors write can be imported, and their functions called, where there is neither Django nor a setting."""
    script = (
        "import sys\n"
        "for name in ('django', 'rq', 'redis', 'psycopg', 'pydantic'): sys.modules[name] = None\n"
        "import controlplane as dg\n"
        "import examples.concurrency_controls as example\n"
        "assert example.limited_job.executor.max_concurrent == 2\n"
        "@dg.op\n"
        "def double(x): return 2 * x\n"
        "assert double(3) == 6\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
