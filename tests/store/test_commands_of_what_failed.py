"""`manage.py runs`: what befell an op, what a run reuses, and stepping in."""

from __future__ import annotations

import pytest

from runs import catalog, launch, states, transitions
from runs.models import Run
from tests.builders import fail, in_state, job, launched_run, op, perform, running_op, start, the_op, workers
from tests.store import commands
from tests.store.commands import read, say

pytestmark = pytest.mark.usefixtures("engine")


def refused(*arguments: str) -> str:
    return "\n".join(commands.refused(*arguments))


@pytest.fixture
def failed() -> Run:
    """A run of four ops, of which two succeeded and the third failed."""
    workers(4)
    run = launched_run(launch.find_job(catalog.current(), "breaks_once"))
    while admitted := in_state(states.ADMITTED):
        for row in admitted:
            perform(row.pk, row.token)
    run.refresh_from_db()
    assert run.state == states.FAILURE
    return run


def test_show_tells_what_befell_each_op():
    row = running_op(op("only"))
    fail(row, "ValueError: first", 600.0)
    transitions.retry_now(row.pk, 1, "bob")
    start(row)
    transitions.note_late(row.pk, 1, "its result came too late")
    (shown,) = read("runs", "show", row.run.uid)["ops"]
    assert [(event["attempt"], event["kind"], event["text"]) for event in shown["tries"]] == [
        (1, "failed", "ValueError: first"), (1, "retried", "by bob"), (1, "late", "its result came too late"),
    ]  # fmt: skip
    assert shown["tries"][0]["started_at"] < shown["tries"][0]["at"]
    assert shown["tries"][1]["started_at"] is None


def test_show_tells_what_a_run_comes_from_and_reuses(failed: Run):
    made = read("runs", "reexecute", failed.uid, "--from-failure")
    assert made["parent"] == failed.uid
    shown = read("runs", "show", made["run"])
    assert (shown["parent"], shown["root"], shown["deadline"]) == (failed.uid, failed.uid, None)
    assert {entry["op"]: entry["reused_from"] for entry in shown["ops"]} == {
        "start_value": failed.uid, "no_value": failed.uid, "breaks_in_the_first_run": None, "last_value": None,
    }  # fmt: skip
    text = say("runs", "show", made["run"])
    assert f"executes again  {failed.uid}" in text
    assert text.count("reused") == 2
    first = read("runs", "show", failed.uid)
    assert (first["parent"], first["root"]) == (None, None)


def test_show_tells_until_when_a_run_may_go_on():
    run = launched_run(job(op("only")), tags={"dagster/max_runtime": "60"})
    assert read("runs", "show", run.uid)["deadline"] > read("runs", "show", run.uid)["started_at"]


def test_reexecute_is_refused_in_one_line(failed: Run):
    run = launched_run(launch.find_job(catalog.current(), "one_op"))
    assert "wait for its end, or cancel it" in refused("runs", "reexecute", run.uid)


def test_retry_and_give_up_end_the_delay():
    row = running_op(op("only"))
    assert "does not wait to be tried again" in refused("runs", "retry", row.run.uid, "only")
    fail(row, "it broke", 600.0)
    assert read("runs", "retry", row.run.uid, "only")["state"] == "admitted"
    start(row)
    fail(row, "it broke", 600.0)
    assert read("runs", "give-up", row.run.uid, "only")["state"] == "failure"
    assert "does not wait to be tried again" in refused("runs", "give-up", row.run.uid, "only")
    assert "has no op 'nobody'" in refused("runs", "retry", row.run.uid, "nobody")
    assert the_op(row.run, "only").attempt == 2
