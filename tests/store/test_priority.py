"""Who goes first: priority, then time; and a priority that changes while waiting."""

from __future__ import annotations

import pytest

from runs import priority, run_limits, transitions
from runs.models import RunTag
from tests.builders import (
    ADA,
    carry_out,
    carry_out_all,
    end,
    job,
    launched_run,
    op,
    queued_run,
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


def test_ops_go_by_the_sum_of_the_runs_and_their_own_priority():
    low = started_run(job(op("low_3", priority=3), op("low_0")), priority=0)
    high = started_run(job(op("high_1", priority=1), op("high_minus_4", priority=-4)), priority=2)
    workers(1)
    assert carry_out_all() == ["low_3", "high_1", "low_0", "high_minus_4"]
    for run in (low, high):
        run.refresh_from_db()
        assert run.state == "success"


def test_equal_priorities_go_by_time():
    runs = [started_run(job(op(f"op{n}"))) for n in range(4)]
    workers(1)
    assert carry_out_all() == ["op0", "op1", "op2", "op3"]
    assert len(runs) == 4


def test_ops_of_one_run_that_become_ready_together_go_in_the_order_of_the_plan():
    started_run(job(op("c"), op("a"), op("b")))
    workers(1)
    assert carry_out_all() == ["c", "a", "b"]


def test_a_later_op_of_higher_priority_does_not_stop_one_that_runs():
    running = running_op()
    urgent = started_run(priority=100)
    assert state_of(urgent) == "ready"
    assert state_of(running.run) == "running"


def test_queued_runs_start_by_priority_then_time():
    first, second = queued_run(), queued_run()
    urgent = queued_run(priority=5)
    started = []
    for _ in range(3):
        run_limits.set_maximum(1, ADA)
        (run,) = [run for run in (first, second, urgent) if run not in started and _is(run, "started")]
        started.append(run)
        transitions.cancel_run(run.pk, "ada")
    assert started == [urgent, first, second]


def _is(run, state):
    run.refresh_from_db()
    return run.state == state


def test_a_queued_run_is_moved_to_the_front():
    first, second = queued_run(), queued_run()
    assert transitions.set_priority(second.pk, 1) == 0, "what it was"
    check_engine()
    run_limits.set_maximum(1, ADA)
    assert _is(second, "started")
    assert _is(first, "queued")


def test_waiting_ops_are_moved_at_once():
    first, second = started_run(job(op("a"))), started_run(job(op("b")))
    transitions.set_priority(second.pk, 1)
    workers(1)
    assert (state_of(first), state_of(second)) == ("ready", "admitted")


def test_the_ops_own_priority_is_added_to_the_new_one():
    run = started_run(job(op("a", priority=7), op("b")))
    transitions.set_priority(run.pk, 10)
    workers(1)
    assert states_of(run) == {"a": "admitted", "b": "ready"}


def test_ops_that_become_ready_later_have_the_new_priority():
    workers(1)
    slow = started_run(job(op("a"), op("b", after=["a"])))
    start(the_op(slow, "a"))
    other = started_run(job(op("c")))
    transitions.set_priority(slow.pk, 1)
    assert state_of(other) == "ready"
    end(the_op(slow, "a"))
    assert (state_of(slow, "b"), state_of(other)) == ("admitted", "ready")


def test_the_tag_tells_the_priority():
    run = queued_run()
    transitions.set_priority(run.pk, -3)
    run.refresh_from_db()
    assert (run.priority, run.tags["dagster/priority"]) == (-3, "-3")
    assert RunTag.objects.get(run=run, key="dagster/priority").value == "-3"


def test_lowering_the_best_lets_the_next_go_first():
    best, next_best = queued_run(priority=2), queued_run(priority=1)
    transitions.set_priority(best.pk, 0)
    run_limits.set_maximum(1, ADA)
    assert _is(next_best, "started")
    assert _is(best, "queued")


def test_an_op_beside_the_line_takes_its_new_place_when_its_run_has_room():
    workers(3)
    run = started_run(job(op("a"), op("b"), op("c"), max_concurrent=1))
    other = started_run(job(op("x")))
    assert states_of(run) == {"a": "admitted", "b": "ready", "c": "ready"}
    assert state_of(other) == "admitted"
    transitions.set_priority(run.pk, 9)
    check_engine()
    carry_out(the_op(run, "a"))
    assert states_of(run) == {"a": "success", "b": "admitted", "c": "ready"}


def test_a_run_that_is_over_keeps_its_priority():
    workers(1)
    run = launched_run(priority=4)
    carry_out_all()
    assert transitions.set_priority(run.pk, 1) is None
    run.refresh_from_db()
    assert run.priority == 4
    assert transitions.set_priority(run.pk, 1, seen=3) is None, "what was seen does not matter any more"
    assert transitions.set_priority(99999, 1) is None


def test_a_priority_that_somebody_changed_since_it_was_seen_is_left_alone():
    run = queued_run(priority=2)
    transitions.set_priority(run.pk, 5)
    with pytest.raises(priority.Overtaken) as refused:
        priority.change(run, 0, seen=2)
    assert refused.value.now == 5
    run.refresh_from_db()
    assert (run.priority, run.tags["dagster/priority"]) == (5, "5")
    assert RunTag.objects.get(run=run, key="dagster/priority").value == "5"
    assert priority.change(run, 0, seen=5) == 5


# --- what may be a priority -------------------------------------------------------------------------

HIGHEST = 2**31 - 1


@pytest.mark.parametrize(("value", "number"), [("7", 7), (-7, -7), (HIGHEST, HIGHEST)])
def test_a_priority_may_be_written_as_text(value, number):
    run = queued_run()
    assert priority.change(run, value) == 0
    run.refresh_from_db()
    assert run.priority == number


@pytest.mark.parametrize("value", ["high", "", None, 1.5, True, HIGHEST + 1, -HIGHEST - 1])
def test_any_other_priority_is_refused_and_nothing_changed(value):
    run = queued_run(priority=3)
    with pytest.raises(priority.InvalidPriority) as error:
        priority.change(run, value)
    assert repr(value) in str(error.value)
    assert f"within +-{HIGHEST}" in str(error.value)
    run.refresh_from_db()
    assert (run.priority, run.tags["dagster/priority"]) == (3, "3")


@pytest.mark.parametrize("own", [1, -1])
def test_the_sum_with_an_ops_own_priority_counts(own):
    run = queued_run(job(op("a", priority=own)))
    with pytest.raises(priority.InvalidPriority):
        priority.change(run, HIGHEST)
    assert priority.change(run, HIGHEST - 1) == 0
