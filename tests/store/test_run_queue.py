"""The run queue's maximum: how many runs may be in progress, and who starts next."""

from __future__ import annotations

import pytest

from pools.models import Change, Gate
from pools.sizing import Author, Conflict
from runs import run_limits, transitions
from runs.models import Run
from runs.run_limits import InvalidMaximum
from tests.builders import ADA, carry_out_all, end, in_use, launched_run, running_op, start, the_op, workers
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def in_progress():
    return list(Run.objects.filter(state__in=("started", "canceling")).order_by("id"))


def finish(run):
    """Its only op runs and ends."""
    start(the_op(run))
    end(the_op(run))


def test_until_somebody_says_otherwise_ten_runs_are_in_progress():
    runs = [launched_run() for _ in range(12)]
    assert [run.state for run in runs] == ["started"] * 10 + ["queued"] * 2
    assert in_use("runs") == 10


def test_no_limit():
    run_limits.set_maximum(-1, ADA)
    assert {launched_run().state for _ in range(15)} == {"started"}
    assert Gate.objects.get(key="runs").limit is None
    assert in_use("runs") == 15


def test_zero_lets_nothing_start():
    run_limits.set_maximum(0, ADA)
    assert launched_run().state == "queued"
    run_limits.set_maximum(1, ADA)
    assert len(in_progress()) == 1


def test_one_at_a_time_in_order_priority_first():
    workers(4)
    run_limits.set_maximum(1, ADA)
    first, second, third = launched_run(), launched_run(), launched_run()
    urgent = launched_run(priority=1)
    order = []
    while in_progress():
        (run,) = in_progress()
        order.append(run)
        check_engine()
        finish(run)
    assert order == [first, urgent, second, third]


def test_a_run_that_fails_makes_room_as_well():
    run_limits.set_maximum(1, ADA)
    running = running_op()
    waiting = launched_run()
    transitions.op_died(running.pk, running.token, "gone")
    waiting.refresh_from_db()
    assert waiting.state == "started"


def test_raising_starts_whoever_fits_at_once():
    run_limits.set_maximum(1, ADA)
    runs = [launched_run() for _ in range(5)]
    run_limits.set_maximum(4, ADA)
    assert in_progress() == runs[:4]


def test_lowering_stops_nobody_and_starts_nobody_until_there_is_room_again():
    workers(9)
    run_limits.set_maximum(3, ADA)
    runs = [launched_run() for _ in range(5)]
    run_limits.set_maximum(1, ADA)
    assert in_progress() == runs[:3]
    assert Gate.objects.get(key="runs").cap == 3
    for over, left in ((0, runs[1:3]), (1, runs[2:3]), (2, runs[3:4])):
        finish(runs[over])
        check_engine()
        assert in_progress() == left


def test_a_run_being_canceled_still_counts():
    run_limits.set_maximum(1, ADA)
    running = running_op()
    waiting = launched_run()
    transitions.cancel_run(running.run_id, "ada")
    waiting.refresh_from_db()
    assert waiting.state == "queued"
    end(running)
    waiting.refresh_from_db()
    assert waiting.state == "started"


def test_every_launched_run_goes_through_the_queue():
    run = launched_run()
    assert run.queued_at <= run.started_at


def test_many_queued_runs_drain_in_order():
    workers(1)
    run_limits.set_maximum(1, ADA)
    runs = [launched_run() for _ in range(20)]
    carry_out_all()
    ended = list(Run.objects.order_by("ended_at", "id"))
    assert ended == runs
    assert {run.state for run in ended} == {"success"}


# --- editing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["5", " 5 ", 5])
def test_a_maximum_may_be_written_as_text(value):
    assert run_limits.set_maximum(value, ADA).max_concurrent_runs == 5


@pytest.mark.parametrize("value", [-2, 1.5, "x", "", None, True, 2**31, "--1", "-", "1e3", "٣"])
def test_any_other_maximum_is_refused_by_name_value_and_what_is_allowed(value):
    with pytest.raises(InvalidMaximum) as error:
        run_limits.set_maximum(value, ADA)
    assert str(error.value) == (
        f"max_concurrent_runs: {value!r} is not allowed: use a whole number, 0 or more, or -1 for no limit."
    )
    assert not Change.objects.exists()


def test_a_change_is_recorded():
    run_limits.set_maximum(3, Author("bob", "page", "a quiet night"))
    change = Change.objects.get()
    assert (change.subject, change.field, change.before, change.after) == ("runs", "max_concurrent_runs", "10", "3")
    assert (change.who, change.door, change.why) == ("bob", "page", "a quiet night")
    run_limits.set_maximum(-1, ADA)
    assert Change.objects.latest("id").after == "none"


def test_setting_the_same_changes_nothing():
    run_limits.set_maximum(10, ADA)
    assert not Change.objects.exists()


def test_who_looked_before_somebody_elses_change_is_told():
    seen = run_limits.set_maximum(4, ADA).version
    run_limits.set_maximum(5, Author("bob", "page"))
    with pytest.raises(Conflict) as conflict:
        run_limits.set_maximum(6, ADA, version=seen)
    assert conflict.value.current == 5
    assert conflict.value.change.who == "bob"
    assert run_limits.set_maximum(5, ADA, version=seen).max_concurrent_runs == 5  # the same: nothing to choose
    assert run_limits.set_maximum(6, ADA, version=conflict.value.version).max_concurrent_runs == 6
