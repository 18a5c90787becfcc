"""A failed attempt that is tried again: it frees its slots, waits its delay, and stands at the back of its class."""

from __future__ import annotations

import pytest

from pools import claims
from runs import recover, states, transitions
from runs.models import Run
from runs.retry import RetryPolicy
from tests.builders import (
    carry_out,
    due,
    end,
    fail,
    holds_of,
    in_state,
    in_use,
    job,
    lapse,
    op,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    workers,
)
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def test_with_a_delay_it_waits_without_its_slots():
    before = claims.clock_time()
    running = running_op(op("only", pool="database"))
    fail(running, "it broke", retry_in=60)
    assert (running.state, running.attempt, running.error) == ("up_for_retry", 1, "it broke")
    assert 60 <= (running.retry_at - before).total_seconds() < 70
    assert not holds_of(running)
    assert in_use("pool:database") == in_use("workers:default") == 0
    assert Run.objects.get().state == "started"


def test_its_slots_go_to_the_next_in_line_during_the_delay():
    workers(1)
    run = started_run(job(op("a"), op("b")))
    start(the_op(run, "a"))
    fail(the_op(run, "a"), retry_in=60)
    assert states_of(run) == {"a": "up_for_retry", "b": "admitted"}


def test_the_clock_puts_it_in_line_when_the_delay_is_over_and_not_before():
    running = running_op()
    fail(running, retry_in=60)
    assert transitions.retry_due() == 0
    due(running)
    assert recover.Clock().one_pass().retries == 1
    running.refresh_from_db()
    assert (running.state, running.attempt, running.retry_at) == ("admitted", 1, None)
    start(running)
    assert (running.attempt, running.error, running.ended_at) == (2, "", None)


def test_without_a_delay_it_is_in_line_again_at_once_under_a_new_token():
    running = running_op()
    token = running.token
    fail(running, retry_in=0)
    assert running.state == "admitted"
    assert running.token != token
    start(running)
    assert running.attempt == 2
    end(running)
    assert Run.objects.get().state == "success"


def test_it_waits_at_the_back_of_its_class():
    workers(1)
    run = started_run(job(op("a"), op("b"), op("c")))
    start(the_op(run, "a"))
    fail(the_op(run, "a"), retry_in=0)
    assert states_of(run) == {"a": "ready", "b": "admitted", "c": "ready"}
    carry_out(the_op(run, "b"))
    assert states_of(run) == {"a": "ready", "b": "success", "c": "admitted"}


def test_its_class_is_its_priority():
    workers(1)
    run = started_run(job(op("urgent", priority=1), op("b"), op("c")))
    start(the_op(run, "urgent"))
    fail(the_op(run, "urgent"), retry_in=0)
    assert state_of(run, "urgent") == "admitted"


def test_downstream_waits_for_the_last_attempt():
    workers(1)
    run = started_run(job(op("a"), op("b", after=["a"])))
    start(the_op(run, "a"))
    fail(the_op(run, "a"), retry_in=0)
    assert state_of(run, "b") == "pending"
    start(the_op(run, "a"))
    fail(the_op(run, "a"))
    assert states_of(run) == {"a": "failure", "b": "skipped"}
    run.refresh_from_db()
    assert run.state == "failure"


def test_an_op_whose_worker_is_lost_follows_its_retry_policy():
    running = running_op(op("only", retry=RetryPolicy(max_retries=1, delay=60)))
    assert transitions.op_died(running.pk, running.token, "its process died")
    running.refresh_from_db()
    assert (running.state, running.error) == ("up_for_retry", "its process died")
    due(running)
    transitions.retry_due()
    start(running)
    assert transitions.op_died(running.pk, running.token, "its process died")
    running.refresh_from_db()
    assert (running.state, running.attempt) == ("failure", 2)


def test_a_lapsed_attempt_follows_it_too():
    running = running_op(op("only", retry=RetryPolicy(max_retries=1)))
    lapse(running)
    assert recover.expire_leases() == 1
    running.refresh_from_db()
    assert (running.state, running.attempt) == ("admitted", 1)


def test_all_that_are_due_return_in_one_pass():
    workers(5)
    run = started_run(job(*(op(f"op{n}") for n in range(5))))
    for n in range(5):
        start(the_op(run, f"op{n}"))
        fail(the_op(run, f"op{n}"), retry_in=60)
    for n in range(4):
        due(the_op(run, f"op{n}"))
    check_engine()
    assert transitions.retry_due() == 4
    assert len(in_state(states.ADMITTED)) == 4
    assert state_of(run, "op4") == "up_for_retry"


def test_due_twice_is_once():
    running = running_op()
    fail(running, retry_in=60)
    due(running)
    assert transitions.retry_due() == 1
    assert transitions.retry_due() == 0
