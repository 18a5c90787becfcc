"""A crash has a budget of its own; what befell an op is kept when it is tried again."""

from __future__ import annotations

import pytest

from pools.models import Hold
from runs import recover, transitions
from runs.models import OpEvent
from runs.retry import RetryPolicy
from runs.verdict import TIMED_OUT
from tests.builders import fail, in_state, job, lapse, op, running_op, start, started_run, state_of, the_op, workers

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def one_is_forgiven(settings):
    settings.CRASH_RETRIES = 1


def dies(op_row, reason="its process died (signal 9, SIGKILL)", **more):
    op_row.refresh_from_db()
    assert transitions.op_died(op_row.pk, op_row.token, reason, **more)
    op_row.refresh_from_db()


def events(op_row):
    return list(OpEvent.objects.filter(op=op_row).order_by("id").values_list("kind", "attempt", "text"))


def test_a_crash_is_not_held_against_an_op_the_first_time():
    running = running_op(op("only"))
    dies(running)
    assert (running.state, running.attempt, running.crashes) == ("admitted", 1, 1)
    start(running)
    dies(running)
    assert (running.state, running.attempt, running.error) == (
        "failure", 2, "its process died (signal 9, SIGKILL)",
    )  # fmt: skip
    assert not Hold.objects.exists()


def test_its_retry_policy_applies_when_no_crash_is_forgiven_any_more():
    running = running_op(op("only", retry=RetryPolicy(max_retries=1, delay=60)))
    dies(running)
    start(running)
    dies(running)
    assert (running.state, running.attempt, running.crashes) == ("up_for_retry", 2, 1)


def test_a_crash_that_was_forgiven_uses_no_retry():
    running = running_op(op("only", retry=RetryPolicy(max_retries=1)))
    dies(running)
    start(running)
    assert transitions.start(running.pk, running.token, None, 1) is None
    started = OpEvent.objects.get().attempt
    assert (running.attempt, started) == (2, 1)


def test_an_author_can_forgive_none():
    running = running_op(op("only", crash_retries=0))
    dies(running)
    assert running.state == "failure"


def test_an_author_can_forgive_more():
    running = running_op(op("only", crash_retries=3))
    for _ in range(3):
        dies(running)
        assert running.state == "admitted"
        start(running)
    dies(running)
    assert running.state == "failure"


def test_a_lost_worker_is_a_crash():
    running = running_op(op("only"))
    lapse(running)
    assert recover.expire_leases() == 1
    running.refresh_from_db()
    assert (running.state, running.crashes) == ("admitted", 1)


def test_what_we_killed_is_no_crash():
    running = running_op(op("only"))
    dies(running, "timed out after 2 s; killed: it did not stop", cause=TIMED_OUT)
    assert running.state == "failure"


def test_it_keeps_its_place_in_line():
    workers(1)
    first = started_run(job(op("a"), op("b")))
    start(the_op(first, "a"))
    dies(the_op(first, "a"))
    assert (state_of(first, "a"), state_of(first, "b")) == ("admitted", "ready")


def test_every_attempt_that_did_not_succeed_is_kept():
    running = running_op(op("only", retry=RetryPolicy(max_retries=2)))
    dies(running)
    start(running)
    fail(running, "ValueError: no", retry_in=0)
    running.refresh_from_db()
    start(running)
    running.refresh_from_db()
    assert transitions.give_back(running.pk, running.token)
    assert events(running) == [
        ("crashed", 1, "its process died (signal 9, SIGKILL)"),
        ("failed", 2, "ValueError: no"),
        ("given_back", 3, "its worker was being stopped"),
    ]
    assert OpEvent.objects.filter(started_at=None).count() == 0


def test_a_crash_while_its_run_is_canceled_cancels_it():
    running = running_op(op("only"))
    assert transitions.cancel_run(running.run_id, "ada")
    dies(running)
    assert running.state == "canceled"
    assert not in_state("admitted")
