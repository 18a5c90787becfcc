"""Reservations: who was overtaken for too long gets slots kept, so that wide candidates start, too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from pools import claims, explain, sizing
from pools.models import Gate, Hold, Waiter
from runs import granularity, states, transitions
from tests.builders import (
    ADA,
    end,
    in_state,
    job,
    launched_run,
    op,
    pool,
    start,
    state_of,
    the_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

AFTER = 60.0


def ages(seconds: float) -> None:
    """All that has happened so far was so much earlier."""
    Hold.objects.update(asked_at=F("asked_at") - timedelta(seconds=seconds))
    Waiter.objects.update(since=F("since") - timedelta(seconds=seconds))
    for op_row in in_state(states.READY):
        type(op_row).objects.filter(pk=op_row.pk).update(ready_at=F("ready_at") - timedelta(seconds=seconds))


def narrow():
    return launched_run(job(op("n", pool="db")))


def wide(slots: int = 2, **how):
    return launched_run(job(op("w", pool={"db": slots})), **how)


def running(run):
    start(the_op(run))
    return run


def test_without_it_small_ones_pass_a_wide_one_again_and_again():
    workers(3)
    pool("db", 2)
    first, second = running(narrow()), running(narrow())
    waiting = wide()
    for _ in range(3):
        third = narrow()
        end(the_op(first))
        first, second = second, running(third)
    assert state_of(waiting) == states.READY


def test_after_a_bounded_wait_the_slots_are_kept_for_it():
    workers(4)
    pool("db", 2)
    first = running(narrow())
    waiting = wide()
    second = running(narrow())  # it came behind, and passed
    ages(AFTER + 1)
    assert claims.reserve(AFTER) == transitions.op_holder(the_op(waiting).pk)
    late = narrow()
    end(the_op(first))
    assert state_of(late) == states.READY  # a slot is free, and kept
    end(the_op(second))
    assert state_of(waiting) == states.ADMITTED
    assert not Gate.objects.exclude(reserved_for="").exists()


def test_nobody_gets_one_before_that_time():
    workers(4)
    pool("db", 2)
    running(narrow())
    wide()
    running(narrow())
    assert claims.reserve(AFTER) == ""


def test_nobody_gets_one_who_was_not_overtaken():
    workers(4)
    pool("db", 2)
    running(narrow())
    running(narrow())
    wide()
    ages(AFTER + 1)
    assert claims.reserve(AFTER) == ""  # those who hold came before it


def test_it_does_not_bind_higher_priorities():
    workers(4)
    pool("db", 2)
    first = running(narrow())
    waiting = wide()
    running(narrow())
    ages(AFTER + 1)
    assert claims.reserve(AFTER)
    urgent = launched_run(job(op("u", pool="db")), priority=1)
    end(the_op(first))
    assert (state_of(urgent), state_of(waiting)) == (states.ADMITTED, states.READY)


def test_room_beyond_what_is_kept_is_for_everybody():
    workers(6)
    pool("db", 3)
    first, second = running(narrow()), running(narrow())
    waiting = wide()
    third = running(narrow())
    ages(AFTER + 1)
    assert claims.reserve(AFTER)
    sizing.set_limit("db", 4, ADA)  # 3 in use, 2 kept
    late = narrow()
    assert state_of(late) == states.READY
    sizing.set_limit("db", 6, ADA)
    assert state_of(waiting) == states.ADMITTED
    assert state_of(late) == states.ADMITTED
    for run in (first, second, third):
        end(the_op(run))


def test_one_that_needs_two_pools_keeps_slots_of_both():
    workers(6)
    pool("a", 1)
    pool("b", 1)
    holder = running(launched_run(job(op("x", pool="a"))))
    both = launched_run(job(op("y", pool={"a": 1, "b": 1})))
    passed = running(launched_run(job(op("z", pool="b"))))
    end(the_op(holder))
    again = running(launched_run(job(op("x", pool="a"))))
    ages(AFTER + 1)
    assert claims.reserve(AFTER) == transitions.op_holder(the_op(both).pk)
    end(the_op(again))
    late = launched_run(job(op("x", pool="a")))
    assert state_of(late) == states.READY
    end(the_op(passed))
    assert state_of(both) == states.ADMITTED
    assert state_of(late) == states.READY


def test_workers_are_never_reserved():
    workers(2)
    pool("db", 2)
    running(narrow())
    wide()
    running(narrow())
    ages(AFTER + 1)
    assert claims.reserve(AFTER)
    assert [gate.kind for gate in Gate.objects.exclude(reserved_for="")] == ["pool"]


@pytest.mark.parametrize("why", ["paused", "closed", "too narrow", "no worker"])
def test_who_could_not_start_anyway_gets_none(why):
    gone = workers(4)
    pool("db", 2)
    running(narrow())
    wide()
    running(narrow())
    ages(AFTER + 1)
    if why == "paused":
        sizing.pause("db", ADA)
    elif why == "no worker":
        from runs import workforce

        workforce.dismiss([worker.pk for worker in gone])
    else:
        sizing.set_limit("db", 0 if why == "closed" else 1, ADA)
    assert claims.reserve(AFTER) == ""


def test_one_at_a_time_and_it_goes_when_its_holder_can_not_use_it():
    workers(6)
    pool("db", 2)
    running(narrow())
    waiting = wide()
    running(narrow())
    ages(AFTER + 1)
    kept_for = claims.reserve(AFTER)
    assert claims.reserve(AFTER) == kept_for
    sizing.pause("db", ADA)
    assert claims.reserve(AFTER) == ""
    sizing.resume("db", ADA)
    assert claims.reserve(AFTER) == kept_for
    transitions.cancel_run(waiting.pk, "ada")
    assert not Gate.objects.exclude(reserved_for="").exists()


def test_a_run_gets_one_too():
    workers(8)
    pool("license", 2)
    granularity.set_for_pool("license", "run", ADA)
    first = launched_run(job(op("n", pool="license")))
    waiting = launched_run(job(op("w", pool={"license": 2})))
    launched_run(job(op("n", pool="license")))
    ages(AFTER + 1)
    type(waiting).objects.filter(pk=waiting.pk).update(queued_at=F("queued_at") - timedelta(seconds=AFTER + 1))
    assert claims.reserve(AFTER) == transitions.run_holder(waiting.pk)
    late = launched_run(job(op("n", pool="license")))
    running(first)
    end(the_op(first))
    late.refresh_from_db()
    assert late.state == states.QUEUED
    transitions.cancel_run(late.pk, "ada")


def test_an_explanation_says_for_whom_slots_are_kept():
    workers(4)
    pool("db", 2)
    first = running(narrow())
    waiting = wide()
    running(narrow())
    ages(AFTER + 1)
    claims.reserve(AFTER)
    late = narrow()
    end(the_op(first))
    told = explain.of(transitions.op_holder(the_op(late).pk))
    assert told is not None
    (check,) = told.blocking
    assert check.only_reserved
    assert check.kept_for == transitions.op_holder(the_op(waiting).pk)
    assert check.reason == "keeps 2 slots for one that was overtaken too long: 1 of 2 in use"
