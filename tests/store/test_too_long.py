"""What waits or takes too long fails, and says why; what waits to be tried again can be hurried or given up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from pools import claims
from pools.models import Hold, Waiter
from runs import launch, recover, run_limits, transitions
from runs.models import OpEvent, Run
from runs.retry import RetryPolicy
from runs.verdict import Verdict
from tests.builders import (
    ADA,
    fail,
    job,
    launched_run,
    op,
    pool,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    workers,
)

pytestmark = pytest.mark.usefixtures("engine")


def time_passes(seconds):
    """For those who wait, and for runs with a deadline."""
    Waiter.objects.update(give_up_at=F("give_up_at") - timedelta(seconds=seconds))
    Run.objects.exclude(deadline=None).update(deadline=F("deadline") - timedelta(seconds=seconds))


def run_state(run):
    run.refresh_from_db()
    return run.state


def one_pass():
    return recover.Clock().one_pass().given_up


# --- waiting ----------------------------------------------------------------------------------------


def test_an_op_that_waits_too_long_fails_and_says_for_what():
    workers(2)
    pool("database", 1)
    holder = started_run(job(op("only", pool="database")))
    run = started_run(job(op("a", pool="database", max_wait=60), op("b", after=["a"])))
    assert one_pass() == 0
    time_passes(61)
    assert one_pass() == 1
    assert states_of(run) == {"a": "failure", "b": "skipped"}
    assert the_op(run, "a").error == "waited too long for pool database"
    assert run_state(run) == "failure"
    assert state_of(holder, "only") == "admitted"
    assert not Waiter.objects.exists()


def test_a_run_that_waits_too_long_in_the_queue_fails_and_says_for_what():
    workers(1)
    run = launched_run(tags={"sluice/max_wait": "60"})
    assert run_state(run) == "started"
    run_limits.set_maximum(0, ADA)
    late = launched_run(job(op("a"), op("b", after=["a"])), tags={"sluice/max_wait": "60"})
    time_passes(61)
    assert one_pass() == 1
    late.refresh_from_db()
    assert (late.state, late.error) == ("failure", "waited too long for the run queue")
    assert states_of(late) == {"a": "skipped", "b": "skipped"}
    assert run_state(run) == "started"


def test_the_time_that_it_ran_is_no_wait():
    workers(1)
    run = started_run(job(op("only", max_wait=60)))
    start(the_op(run, "only"))
    op_row = the_op(run, "only")
    time_passes(1000)
    assert transitions.give_back(op_row.pk, op_row.token)
    assert one_pass() == 0
    assert state_of(run, "only") == "admitted"


def test_several_at_once_are_seen_to_in_one_pass():
    pool("database", 0)
    workers(1)
    run = started_run(job(*(op(f"op{n}", pool="database", max_wait=60) for n in range(5))))
    time_passes(61)
    assert one_pass() == 5
    assert run_state(run) == "failure"


# --- taking -----------------------------------------------------------------------------------------


def test_a_run_that_takes_too_long_is_stopped_and_fails():
    workers(1)
    run = started_run(job(op("a"), op("b"), op("c", after=["a"])), tags={"dagster/max_runtime": "60"})
    start(the_op(run, "a"))
    assert one_pass() == 0
    time_passes(61)
    assert one_pass() == 1
    assert run_state(run) == "canceling"
    assert states_of(run) == {"a": "running", "b": "canceled", "c": "canceled"}
    op_row = the_op(run, "a")
    assert transitions.give_back(op_row.pk, op_row.token)
    run.refresh_from_db()
    assert (run.state, run.error) == ("failure", "took longer than 60 s (dagster/max_runtime)")
    assert the_op(run, "a").error == "its run took longer than 60 s (dagster/max_runtime)"
    assert not Hold.objects.exists()
    assert one_pass() == 0


def test_a_run_that_takes_too_long_while_no_op_runs_fails_at_once():
    run = started_run(tags={"dagster/max_runtime": "0.5"})
    time_passes(61)
    assert one_pass() == 1
    assert run_state(run) == "failure"
    assert not Waiter.objects.exists()


def test_a_run_that_ends_in_time_is_left_alone():
    workers(1)
    run = started_run(tags={"dagster/max_runtime": "60"})
    op_row = the_op(run, "only")
    start(op_row)
    assert transitions.complete(op_row.pk, op_row.token, Verdict.success())
    time_passes(61)
    assert one_pass() == 0
    assert run_state(run) == "success"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dagster/max_runtime", "soon"), ("dagster/max_runtime", "0"), ("dagster/max_runtime", "-1"),
        ("dagster/max_runtime", "nan"), ("sluice/max_wait", "1e99"), ("dagster/max_retries", "-1"),
        ("dagster/max_retries", "many"), ("dagster/retry_strategy", "SOME"),
    ],
)  # fmt: skip
def test_a_bound_that_is_none_is_refused(key, value):
    with pytest.raises(launch.CannotLaunch) as refused:
        launched_run(tags={key: value})
    assert f"tag {key}: {value!r} is not allowed: use" in refused.value.errors["tags"]
    assert not Run.objects.exists()


# --- up for retry -----------------------------------------------------------------------------------


@pytest.fixture
def up_for_retry():
    running = running_op(op("only", retry=RetryPolicy(max_retries=1, delay=3600)))
    fail(running, "it broke", retry_in=3600)
    running.refresh_from_db()
    return running


def test_somebody_does_not_wait_for_the_delay(up_for_retry):
    assert transitions.retry_now(up_for_retry.pk, 1, "ada")
    up_for_retry.refresh_from_db()
    assert (up_for_retry.state, up_for_retry.retry_at) == ("admitted", None)
    assert OpEvent.objects.filter(kind="retried", text="by ada", attempt=1).exists()
    assert not transitions.retry_now(up_for_retry.pk, 1, "ada")


def test_somebody_gives_up(up_for_retry):
    assert transitions.give_up(up_for_retry.pk, 1, "ada")
    up_for_retry.refresh_from_db()
    assert (up_for_retry.state, up_for_retry.error, up_for_retry.retry_at) == ("failure", "it broke", None)
    assert run_state(up_for_retry.run) == "failure"
    assert OpEvent.objects.filter(kind="gave_up", text="by ada").exists()


def test_a_word_about_an_older_attempt_changes_nothing(up_for_retry):
    assert not transitions.retry_now(up_for_retry.pk, 0, "ada")
    assert not transitions.give_up(up_for_retry.pk, 2, "ada")
    assert not OpEvent.objects.filter(kind__in=("retried", "gave_up")).exists()


def test_giving_up_on_an_op_lets_the_rest_of_its_run_go_on():
    workers(2)
    run = started_run(job(op("a", retry=RetryPolicy(max_retries=1, delay=3600)), op("b"), op("c", after=["a"])))
    start(the_op(run, "a"))
    fail(the_op(run, "a"), retry_in=3600)
    assert transitions.give_up(the_op(run, "a").pk, 1, "ada")
    assert states_of(run) == {"a": "failure", "b": "admitted", "c": "skipped"}
    assert run_state(run) == "started"
    assert claims.lapsed() == []


def test_a_run_that_is_stopped_keeps_no_op_that_waits_to_be_tried_again(up_for_retry):
    assert transitions.cancel_run(up_for_retry.run_id, "ada")
    assert run_state(up_for_retry.run) == "canceled"
