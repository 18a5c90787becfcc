"""Canceling a run: what waits is canceled at once, what runs when it stops; all is free then."""

from __future__ import annotations

import pytest

from pools.models import Hold, Waiter
from runs import recover, run_limits, states, transitions
from runs.models import Run
from runs.retry import RetryPolicy
from runs.verdict import Verdict
from tests.builders import (
    ADA,
    admitted_op,
    carry_out,
    end,
    fail,
    in_use,
    job,
    lapse,
    launched_run,
    op,
    queued_run,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    waiting_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def is_over(run: Run, state: str = "canceled") -> bool:
    run.refresh_from_db()
    return run.state == state and run.ended_at is not None


def test_a_queued_run_is_canceled_at_once_and_never_starts():
    run = queued_run()
    assert transitions.cancel_run(run.pk, "ada")
    assert is_over(run)
    assert run.started_at is None
    assert (run.canceled_by, run.cancel_requested_at) == ("ada", run.ended_at)
    assert state_of(run) == "canceled"
    assert not Waiter.objects.exists()


def test_a_waiting_op_is_canceled_and_with_it_the_run():
    op_row = waiting_op()
    assert transitions.cancel_run(op_row.run_id, "ada")
    assert is_over(op_row.run)
    assert state_of(op_row.run) == "canceled"


def test_an_admitted_op_is_canceled_and_its_slots_are_free():
    op_row = admitted_op(op("only", pool="database"))
    assert transitions.cancel_run(op_row.run_id, "ada")
    assert is_over(op_row.run)
    assert not Hold.objects.exists()
    assert transitions.start(op_row.pk, op_row.token, None, 1) is None


def test_a_running_op_keeps_its_slots_until_it_stops():
    op_row = running_op(op("only", pool="database"))
    assert transitions.cancel_run(op_row.run_id, "ada")
    op_row.run.refresh_from_db()
    assert op_row.run.state == "canceling"
    assert in_use("pool:database") == in_use("runs") == 1
    assert transitions.give_back(op_row.pk, op_row.token)
    assert is_over(op_row.run)
    assert state_of(op_row.run) == "canceled"
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    ("verdict", "op_state"),
    [
        (Verdict.success(), "success"),
        (Verdict.failure("it broke"), "failure"),
        (Verdict.failure("it broke", retry_in=0), "canceled"),
        (Verdict.failure("it broke", retry_in=60), "canceled"),
    ],
)
def test_whatever_the_last_op_says_the_run_is_canceled(verdict, op_state):
    op_row = running_op()
    transitions.cancel_run(op_row.run_id, "ada")
    end(op_row, verdict)
    assert is_over(op_row.run)
    assert op_row.state == op_state
    assert op_row.retry_at is None


@pytest.mark.parametrize("lost", ["died", "lapsed"])
def test_an_op_lost_while_its_run_is_being_canceled_is_canceled_whatever_its_retry_policy(lost):
    op_row = running_op(op("only", retry=RetryPolicy(max_retries=3)))
    transitions.cancel_run(op_row.run_id, "ada")
    if lost == "died":
        transitions.op_died(op_row.pk, op_row.token, "its process died")
    else:
        lapse(op_row)
        recover.expire_leases()
    assert is_over(op_row.run)
    assert state_of(op_row.run) == "canceled"


def test_an_op_that_waits_for_its_retry_is_canceled():
    op_row = running_op()
    fail(op_row, retry_in=60)
    assert transitions.cancel_run(op_row.run_id, "ada")
    assert is_over(op_row.run)
    assert the_op(op_row.run).retry_at is None
    assert transitions.retry_due() == 0


def test_ops_in_all_states_at_once():
    workers(2)
    run = started_run(
        job(op("done"), op("runs"), op("sent", after=["done"]), op("waits"), op("later", after=["runs", "waits"]))
    )
    carry_out(the_op(run, "done"))
    assert states_of(run)["waits"] == "admitted"
    start(the_op(run, "runs"))
    before = states_of(run)
    assert before == {
        "done": "success",
        "runs": "running",
        "waits": "admitted",
        "sent": "ready",
        "later": "pending",
    }
    assert transitions.cancel_run(run.pk, "ada")
    assert states_of(run) == {
        "done": "success",
        "runs": "running",
        "waits": "canceled",
        "sent": "canceled",
        "later": "canceled",
    }
    end(the_op(run, "runs"))
    assert is_over(run)
    assert state_of(run, "later") == "canceled"


def test_what_canceling_frees_is_given_on_at_once():
    first = admitted_op()
    second = started_run()
    assert state_of(second) == "ready"
    transitions.cancel_run(first.run_id, "ada")
    assert state_of(second) == "admitted"


def test_canceling_twice_is_harmless():
    op_row = running_op()
    assert transitions.cancel_run(op_row.run_id, "ada")
    assert not transitions.cancel_run(op_row.run_id, "bob")
    op_row.run.refresh_from_db()
    assert op_row.run.canceled_by == "ada"
    end(op_row)
    assert not transitions.cancel_run(op_row.run_id, "bob")


@pytest.mark.parametrize("end_as", [Verdict.success(), Verdict.failure("no")])
def test_a_run_that_is_over_can_not_be_canceled(end_as):
    op_row = running_op()
    end(op_row, end_as)
    assert not transitions.cancel_run(op_row.run_id, "ada")
    assert is_over(op_row.run, end_as.state)


def test_a_run_that_is_not_there_can_not_be_canceled():
    assert not transitions.cancel_run(12345, "ada")


def test_a_canceled_runs_place_goes_to_the_next_in_the_queue():
    run_limits.set_maximum(1, ADA)
    first, second = launched_run(), launched_run()
    assert (first.state, second.state) == ("started", "queued")
    transitions.cancel_run(first.pk, "ada")
    second.refresh_from_db()
    assert second.state == states.STARTED


def test_a_canceled_run_that_fails_in_a_branch_is_canceled_all_the_same():
    workers(2)
    run = started_run(job(op("a"), op("b"), op("c", after=["a"])))
    start(the_op(run, "a"))
    start(the_op(run, "b"))
    fail(the_op(run, "a"))
    assert state_of(run, "c") == "skipped"
    transitions.cancel_run(run.pk, "ada")
    end(the_op(run, "b"))
    assert is_over(run)
