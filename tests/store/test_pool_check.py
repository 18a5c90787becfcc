"""Pools at the queue: a run waits while the pools of all its root ops are taken, those counted who wait for them."""

from __future__ import annotations

import pytest

from pools import explain, sizing
from pools.limits import InvalidLimit
from runs import states, transitions
from tests.builders import (
    ADA,
    carry_out,
    end,
    in_state,
    job,
    launched_run,
    op,
    pool,
    running_op,
    start,
    state_of,
    the_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked", "check_on")]


@pytest.fixture
def check_on(engine):
    sizing.set_check_at_queue(True, ADA)


def states_now(*runs) -> list[str]:
    for run in runs:
        run.refresh_from_db()
    return [run.state for run in runs]


def test_a_run_waits_while_the_pool_of_its_only_root_is_full():
    workers(2)
    pool("db", 1)
    of = job(op("a", pool="db"))
    first, second = launched_run(of), launched_run(of)
    assert states_now(first, second) == [states.STARTED, states.QUEUED]
    carry_out(the_op(first))
    assert states_now(second) == [states.STARTED]


def test_those_who_wait_for_the_pool_count():
    workers(4)
    pool("db", 1)
    wide = launched_run(job(op("a", pool="db"), op("b", pool="db")))  # one holds, one waits
    late = launched_run(job(op("x", pool="db")))
    carry_out(the_op(wide, "a"))
    assert state_of(wide, "b") == states.ADMITTED
    assert states_now(late) == [states.QUEUED]
    carry_out(the_op(wide, "b"))
    assert states_now(late) == [states.STARTED]


def test_a_run_with_a_root_without_a_pool_is_never_held_back():
    workers(1)
    pool("db", 0)
    assert launched_run(job(op("free"), op("a", pool="db"))).state == states.STARTED


def test_one_root_that_could_start_is_enough():
    workers(3)
    pool("db", 0)
    pool("api", 1)
    assert launched_run(job(op("a", pool="db"), op("b", pool="api"))).state == states.STARTED


def test_a_root_with_several_pools_needs_room_in_each():
    workers(2)
    pool("db", 0)
    pool("api", 1)
    run = launched_run(job(op("a", pool={"db": 1, "api": 1})))
    assert run.state == states.QUEUED
    sizing.set_limit("db", 1, ADA)
    assert states_now(run) == [states.STARTED]


def test_pools_further_down_do_not_matter():
    workers(1)
    pool("db", 0)
    assert launched_run(job(op("a"), op("b", after="a", pool="db"))).state == states.STARTED


def test_a_default_limit_of_0_holds_back_at_first_sight():
    sizing.set_default_limit(0, ADA)
    run = launched_run(job(op("a", pool="new")))
    assert run.state == states.QUEUED
    sizing.set_default_limit(1, ADA)
    assert states_now(run) == [states.STARTED]


def test_a_paused_pool_holds_back():
    pool("db", 5)
    sizing.pause("db", ADA)
    run = launched_run(job(op("a", pool="db")))
    assert run.state == states.QUEUED
    sizing.resume("db", ADA)
    assert states_now(run) == [states.STARTED]


def test_an_unlimited_pool_never_holds_back():
    assert [launched_run(job(op("a", pool="free"))).state for _ in range(3)] == [states.STARTED] * 3


def test_the_buffer_lets_more_start():
    workers(1)
    pool("db", 1)
    sizing.set_run_buffer(2, ADA)
    runs = [launched_run(job(op("a", pool="db"))) for _ in range(4)]
    assert states_now(*runs) == [states.STARTED] * 3 + [states.QUEUED]
    sizing.set_run_buffer(3, ADA)
    assert states_now(*runs) == [states.STARTED] * 4


def test_turning_the_check_off_lets_all_start():
    pool("db", 0)
    runs = [launched_run(job(op("a", pool="db"))) for _ in range(2)]
    assert states_now(*runs) == [states.QUEUED] * 2
    sizing.set_check_at_queue(False, ADA)
    assert states_now(*runs) == [states.STARTED] * 2


def test_a_run_whose_own_executor_is_full_does_not_idle_the_pool():
    """Fifty roots and room for one at a time in its run: the other slots are for others."""
    workers(6)
    pool("db", 5)
    wide = job(*(op(f"a{n}", pool="db") for n in range(50)), max_concurrent=1)
    launched_run(wide)
    others = [launched_run(job(op("x", pool="db"))) for _ in range(5)]
    assert states_now(*others) == [states.STARTED] * 4 + [states.QUEUED]


def test_a_canceled_waiter_makes_room_at_the_queue():
    pool("db", 2)
    blocker = running_op(op("w"))  # the only worker is busy: ops wait for one, though the pool has room
    waiting = [launched_run(job(op("a", pool="db"))) for _ in range(2)]
    third = launched_run(job(op("a", pool="db")))
    assert states_now(*waiting, third) == [states.STARTED, states.STARTED, states.QUEUED]
    assert {state_of(run) for run in waiting} == {states.READY}
    transitions.cancel_run(waiting[0].pk, "ada")
    assert states_now(third) == [states.STARTED]
    end(blocker)


def test_a_gate_of_a_run_that_fills_makes_room_at_the_queue():
    """Its other ops wait for their own run from then on, not for the pool."""
    pool("db", 2)
    blocker = running_op(op("w"))
    narrow = launched_run(job(op("a", pool="db"), op("b", pool="db"), max_concurrent=1))
    late = launched_run(job(op("c", pool="db")))
    assert states_now(narrow, late) == [states.STARTED, states.QUEUED]
    end(blocker)  # the worker takes a: the executor is full, b does not count any more
    assert [found.key for found in in_state(states.ADMITTED)] == ["a"]
    assert states_now(late) == [states.STARTED]


def test_the_explanation_says_what_is_taken_and_what_waits_for_it():
    workers(1)
    pool("db", 1)
    launched_run(job(op("a", pool="db"), op("b", pool="db")))
    late = launched_run(job(op("x", pool="db")))
    told = explain.of(f"run:{late.pk}")
    assert told is not None
    assert told.blocking == []
    assert told.without_prospect
    (taken,) = told.taken
    assert (taken.gate.key, taken.gate.in_use, taken.waited_for, taken.buffer) == ("pool:db", 1, 1, 0)


def test_a_held_back_run_does_not_stop_those_behind_it():
    workers(1)
    pool("db", 0)
    held = launched_run(job(op("a", pool="db")), priority=9)
    assert held.state == states.QUEUED
    assert launched_run(job(op("x"))).state == states.STARTED


def test_priority_decides_between_a_queued_run_and_waiting_ops():
    workers(1)
    pool("db", 1)
    holder = launched_run(job(op("a", pool="db")))
    start(the_op(holder))
    low, high = launched_run(job(op("x", pool="db"))), launched_run(job(op("y", pool="db")), priority=5)
    end(the_op(holder))
    assert states_now(low, high) == [states.QUEUED, states.STARTED]


@pytest.mark.parametrize("value", [-1, 1.5, "two", None, True, 100_001])
def test_a_buffer_that_is_no_number_of_slots_is_refused(value):
    with pytest.raises(InvalidLimit, match="op_granularity_run_buffer"):
        sizing.set_run_buffer(value, ADA)
