"""`manage.py audit` as a person and a script use it: exit status 0 without drift, 1 with, 2 if it could not be made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from pools.models import Audit, Gate, Repair
from runs.audit import record
from tests.builders import admitted_op, op, pool
from tests.house.code import ROOT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def audit(database_url: str) -> Run:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "audit", *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def drifted() -> Gate:
    """A pool's gate that counts one too many, at its limit."""
    pool("database", 2)
    admitted_op(op("only", pool="database"))
    Gate.objects.filter(key="pool:database").update(in_use=2)
    return Gate.objects.get(key="pool:database")


def test_nothing_to_find(audit):
    admitted_op()
    done = audit()
    assert (done.returncode, done.stdout, done.stderr) == (0, "no drift\n", "")
    kept = record.newest()
    assert kept is not None
    assert (kept.findings, kept.unseen, kept.door) == ([], [], "cli")


def test_drift_is_said_and_left_alone(audit):
    gate = drifted()
    done = audit()
    assert done.returncode == 1
    assert "gate_use" in done.stdout
    assert "pool database counts 2 in use; its holds add up to 1" in done.stdout
    assert "count 1, and let in whoever then fits" in done.stdout
    gate.refresh_from_db()
    assert gate.in_use == 2
    assert not Repair.objects.exists()
    (kept,) = Audit.objects.all()
    assert [finding.subject for finding in record.findings(kept)] == ["gate pool:database"]
    audit("--repair")


def test_drift_in_json(audit):
    drifted()
    done = audit("--json")
    assert (done.returncode, done.stderr) == (1, "")
    said = json.loads(done.stdout)
    assert said["drift"] == 1
    assert said["kinds"] == {kind: int(kind == "gate_use") for kind in record.KINDS}
    (finding,) = said["findings"]
    assert finding["kind"] == "gate_use"
    assert finding["evidence"] == {"gate": "pool:database", "in_use": 2, "sum_of_holds": 1, "cap": 2, "limit": 2}
    assert finding["mark"]
    assert (said["repairs"], said["not_repaired"], said["unseen"]) == ([], [], [])
    audit("--repair")


def test_drift_is_set_right_and_recorded(audit):
    gate = drifted()
    done = audit("--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "repaired: pool database counts 2 in use; its holds add up to 1: count 1, and let in whoever then fits",
        "no drift any more",
    ]
    gate.refresh_from_db()
    assert gate.in_use == 1
    (made,) = Repair.objects.all()
    assert (made.kind, made.subject, made.door) == ("gate_use", "gate pool:database", "cli")
    assert made.evidence["sum_of_holds"] == 1
    assert [len(kept.findings) for kept in Audit.objects.order_by("id")] == [1, 0]


def test_a_repair_in_json(audit):
    drifted()
    done = audit("--repair", "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["drift"], said["not_repaired"]) == (0, [])
    assert [(made["kind"], made["subject"]) for made in said["repairs"]] == [("gate_use", "gate pool:database")]
    assert [finding["kind"] for finding in said["findings"]] == ["gate_use"]


def test_repairing_nothing(audit):
    done = audit("--repair")
    assert (done.returncode, done.stdout) == (0, "no drift\n")


@pytest.mark.parametrize("wrong", [["--mend"], ["now"], ["--json=yes"]])
def test_a_wrong_argument_is_no_drift(audit, wrong):
    done = audit(*wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_does_not_answer_is_no_drift(audit):
    done = audit(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


def test_only_the_newest_audits_are_kept(monkeypatch):
    from pools.sizing import Author

    monkeypatch.setattr(record, "KEPT", 3)
    for _ in range(5):
        record.audited(Author("ada", "cli"))
    assert Audit.objects.count() == 3
