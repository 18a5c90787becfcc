"""The wait account: seconds waited for each gate are kept, and add up to the whole wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pools import claims, sizing, waits
from pools.claims import Desk
from runs import states, transitions
from tests.builders import ADA, carry_out, end, job, launched_run, op, pool, start, state_of, the_op, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


@pytest.fixture
def later(monkeypatch):
    """The desks' time, some seconds on."""
    ahead = [0.0]

    class Later(Desk):
        def __init__(self, now) -> None:
            super().__init__(now + timedelta(seconds=ahead[0]))

    monkeypatch.setattr("pools.claims.doors.Desk", Later)

    def go_on(seconds: float) -> None:
        ahead[0] += seconds

    return go_on


def waited(holder: str) -> dict[str, int]:
    return {f"{wait.kind} {wait.label}": round(wait.seconds) for wait in waits.last(holder)}


def of_op(run, key: str | None = None) -> dict[str, int]:
    return waited(transitions.op_holder(the_op(run, key).pk))


def test_who_starts_at_once_has_not_waited(later):
    workers(1)
    assert of_op(launched_run()) == {}


def test_each_gate_gets_the_time_it_blocked(later):
    pool("db", 1)
    run = launched_run(job(op("a", pool="db")))
    later(3)  # no worker
    sizing.set_limit("db", 0, ADA)
    workers(1)  # the worker is there, the pool is closed now
    later(7)
    sizing.set_limit("db", 1, ADA)
    assert state_of(run) == states.ADMITTED
    assert of_op(run) == {"workers default": 3, "pool db": 7}


def test_one_who_joins_a_line_that_waits_counts_from_then(later):
    pool("db", 0)
    workers(2)
    launched_run(job(op("a", pool="db")))
    later(5)
    late = launched_run(job(op("a", pool="db")))
    later(2)
    sizing.set_limit("db", 2, ADA)
    assert of_op(late) == {"pool db": 2}


def test_time_beside_the_line_counts_for_the_gate_of_its_own_run(later):
    workers(4)
    pool("db", 4)
    run = launched_run(job(op("a", pool="db"), op("b", pool="db"), max_concurrent=1))
    start(the_op(run, "a"))
    later(4)
    sizing.set_limit("db", 0, ADA)
    end(the_op(run, "a"))  # b returns to the line, where the pool is closed by now
    later(6)
    sizing.set_limit("db", 4, ADA)
    assert of_op(run, "b") == {"executor ops of this run at once": 4, "pool db": 6}


def test_a_run_has_an_account_too(later):
    sizing.set_check_at_queue(True, ADA)
    pool("db", 0)
    run = launched_run(job(op("a", pool="db")))
    later(8)
    sizing.set_limit("db", 1, ADA)
    run.refresh_from_db()
    assert run.state == states.STARTED
    assert waited(transitions.run_holder(run.pk)) == {"prospects ": 8}


def test_moving_to_another_lane_keeps_what_was_waited(later):
    from runs import run_limits
    from tests.builders import tag_rule

    run_limits.set_maximum(0, ADA)
    run = launched_run(tags={"team": "growth"})
    later(3)
    tag_rule("team", 0)
    run_limits.set_maximum(5, ADA)
    later(4)
    tag_rule("team", 1)
    run.refresh_from_db()
    assert run.state == states.STARTED
    assert waited(transitions.run_holder(run.pk)) == {"runs runs in progress": 3, "run_tag team": 4}


def test_they_add_up_to_the_whole_wait(later):
    workers(1)
    pool("db", 1)
    runs = [launched_run(job(op("a", pool="db"), op("b"), max_concurrent=1)) for _ in range(4)]
    for seconds in range(1, 40):
        later(seconds % 3 + 0.25)
        for run in runs:
            for key in ("a", "b"):
                if state_of(run, key) == states.ADMITTED:
                    row = the_op(run, key)
                    total = sum(wait.seconds for wait in waits.last(transitions.op_holder(row.pk)))
                    whole = (row.admitted_at - row.ready_at).total_seconds()
                    assert total == pytest.approx(whole, rel=0.01, abs=0.005)
                    carry_out(row)
    assert {state_of(run, "b") for run in runs} == {states.SUCCESS}
    assert claims.lapsed() is not None
