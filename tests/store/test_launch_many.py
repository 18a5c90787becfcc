"""`launch_many`: a run for each line of a file, all of them or none, and each fault named with its line."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from runs import catalog, launch
from runs.models import Run

JOBS = "tests.store.command_jobs"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.CONTROLPLANE_MODULES = [JOBS]
    monkeypatch.setattr(catalog, "_loaded", None)
    sys.modules.pop(JOBS, None)


def launched(path: Path | str, *options: str) -> str:
    out = StringIO()
    call_command("launch_many", str(path), *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(path: Path) -> list[str]:
    with pytest.raises(CommandError) as caught:
        launched(path)
    assert not Run.objects.exists()
    return str(caught.value).splitlines()


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    def write(*entries: object) -> Path:
        file = tmp_path / "lines.jsonl"
        file.write_text("\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries) + "\n")
        return file

    return write


ENTRIES = (
    {"job": "sized", "params": {"rows": 3}, "tags": {"team": "growth"}},
    {"job": "failing", "priority": 5},
    {"select": ["orders", "totals"]},
)


def test_each_line_is_a_run_in_the_order_of_the_lines(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "AT_ONCE", 2)
    said = json.loads(launched(lines(*ENTRIES), "--json"))
    runs = list(Run.objects.order_by("id"))
    assert said == {"launched": 3, "runs": [run.uid for run in runs]}
    assert [(run.params, run.tags, run.priority) for run in runs[:2]] == [
        ({"rows": 3, "dry": False}, {"team": "growth"}, 0),
        ({}, {"team": "core", "dagster/priority": "5"}, 5),
    ]
    assert sorted(runs[2].op_set.values_list("key", flat=True)) == ["orders", "totals"]


def test_lines_come_from_the_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO('{"job": "failing"}\n\n{"job": "failing"}\n'))
    assert launched("-") == "2 runs are launched\n"


def test_what_is_wrong_is_named_with_its_line_and_nothing_is_launched(lines: Any, tmp_path: Path) -> None:
    assert refused(lines({"job": "failing"}, "", '{"job": ', [1], {"job": "nightly"}, {"jobs": "failing"})) == [
        "line 3: it is no JSON: Expecting value: line 2 column 1 (char 9)",
        "line 4: [1] is not allowed: use a mapping with job, select, params, tags, priority",
        "line 5: job: there is no job 'nightly'; there are: failing, sized",
        "line 6: jobs: unknown; there are job, select, params, tags, priority",
        "none was launched",
    ]
    assert refused(lines({"job": "failing"}, {"job": "sized", "params": {"rows": "many"}}, {"select": "orders"})) == [
        "line 3: select: 'orders' is not allowed: use a list of assets",
        "none was launched",
    ]
    found = refused(lines({"job": "failing"}, {"job": "sized", "params": {"rows": "many"}}))
    assert found[0].startswith("line 2: params.rows: ")
    assert refused(lines(*[{"job": "failing", "priority": True}] * 22))[-2:] == ["and 2 more", "none was launched"]
    assert refused(tmp_path / "missing.jsonl") == [f"{tmp_path}/missing.jsonl: No such file or directory"]
