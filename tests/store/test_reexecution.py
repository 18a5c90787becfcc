"""A run that is over is executed again: all of it, or only what did not succeed."""

from __future__ import annotations

import pytest

from pools.models import Hold
from runs import catalog, launch, outputs, recover, reexecution, run_limits, states, transitions
from runs.launch import CannotLaunch, NotDue
from runs.models import Op, Run
from tests.builders import ADA, in_state, launched_run, perform, pool, states_of, workers
from tests.invariants import check_engine

pytestmark = pytest.mark.usefixtures("engine")


def run_of(name, **how):
    workers(4)
    return launched_run(launch.find_job(catalog.current(), name), **how)


def carry_out():
    """Run, in this process, whatever has its slots, until nothing has."""
    while admitted := in_state(states.ADMITTED):
        for op_row in admitted:
            perform(op_row.pk, op_row.token)


def again(run, from_failure=True):
    run.refresh_from_db()
    return reexecution.reexecute(run, who="ada", door="page", from_failure=from_failure)


def state(run):
    run.refresh_from_db()
    return run.state


@pytest.fixture
def failed():
    run = run_of("breaks_once", tags={"team": "growth"}, priority=3)
    carry_out()
    assert state(run) == "failure"
    return run


def test_from_failure_reuses_what_succeeded(failed):
    made = again(failed)
    assert states_of(made) == {
        "start_value": "success", "no_value": "success", "breaks_in_the_first_run": "admitted", "last_value": "pending",
    }  # fmt: skip
    carry_out()
    assert state(made) == "success"
    keys = {"start_value", "no_value", "breaks_in_the_first_run", "last_value"}
    assert outputs.of_run(made.pk, keys) == {
        "start_value": [1, 2], "no_value": None, "breaks_in_the_first_run": 3, "last_value": 4,
    }  # fmt: skip
    assert Op.objects.filter(run=made, attempt=0).count() == 2, "what is reused was not run"
    check_engine()


def test_all_of_it_runs_everything(failed):
    made = again(failed, from_failure=False)
    carry_out()
    assert state(made) == "success"
    assert set(Op.objects.filter(run=made).values_list("attempt", flat=True)) == {1}


def test_it_knows_its_family_and_keeps_tags_priority_and_params(failed):
    made = again(failed)
    transitions.cancel_run(made.pk, "ada")
    third = again(made)
    assert (third.parent_id, third.root_id) == (made.pk, failed.pk)
    assert third.tags == {
        "team": "growth", "dagster/priority": "3", "dagster/parent_run_id": made.uid, "dagster/root_run_id": failed.uid,
    }  # fmt: skip
    assert (third.priority, third.params) == (3, failed.params)
    carry_out()
    assert outputs.of_run(third.pk, {"last_value"}) == {"last_value": 4}, "through two generations"


def test_it_goes_through_the_queue_like_any_run(failed):
    run_limits.set_maximum(0, ADA)
    assert again(failed).state == "queued"


def test_a_run_that_is_not_over_is_refused():
    run = run_of("breaks_once")
    with pytest.raises(CannotLaunch, match="wait for its end"):
        again(run)
    assert Run.objects.count() == 1


def test_whoever_saw_less_than_there_is_is_told(failed):
    first = again(failed)
    with pytest.raises(NotDue):
        reexecution.reexecute(failed, who="bob", door="page", from_failure=True, seen=0)
    assert Run.objects.count() == 2
    reexecution.reexecute(failed, who="bob", door="page", from_failure=True, seen=first.pk)
    assert Run.objects.count() == 3


def test_there_must_be_something_to_execute():
    run = run_of("one_op")
    carry_out()
    with pytest.raises(CannotLaunch, match=r"every op of run .* succeeded"):
        again(run)
    assert again(run, from_failure=False).parent == run


def test_a_job_that_is_gone_is_named(failed):
    Run.objects.filter(pk=failed.pk).update(job="gone")
    with pytest.raises(CannotLaunch, match="there is no job 'gone'"):
        again(failed)


def test_a_part_asks_the_queue_only_for_the_pools_of_what_it_executes(as_installed):
    pool("api", 0)
    run = run_of("needs_api_last")
    carry_out()
    transitions.cancel_run(run.pk, "ada")
    assert states_of(run) == {"free": "success", "with_api": "canceled"}
    made = again(run)
    assert made.state == "queued", "its root is what needs the api"


# --- retries of runs --------------------------------------------------------------------------------


def test_a_run_with_retries_is_executed_again_when_it_fails():
    run = run_of("breaks_once", tags={"dagster/max_retries": "2"})
    carry_out()
    assert state(run) == "failure"
    assert recover.Clock().one_pass().runs == 1
    made = Run.objects.get(parent=run)
    assert (made.launched_by, made.door, made.retries_left) == (run.launched_by, "retry", 1)
    assert made.tags["dagster/retry_number"] == "1"
    assert states_of(made)["start_value"] == "success"
    carry_out()
    assert state(made) == "success"
    assert recover.Clock().one_pass().runs == 0


def test_its_retries_come_to_an_end():
    run = run_of("one_raises", tags={"dagster/max_retries": "2", "dagster/retry_strategy": "ALL_STEPS"})
    for _ in range(4):
        carry_out()
        recover.Clock().one_pass()
    family = Run.objects.order_by("id")
    assert [member.state for member in family] == ["failure"] * 3
    assert [member.tags.get("dagster/retry_number") for member in family] == [None, "1", "2"]
    assert {member.root_id for member in family} == {None, run.pk}


def test_several_clocks_execute_it_again_once(monkeypatch):
    run = run_of("one_raises", tags={"dagster/max_retries": "1"})
    carry_out()
    run.refresh_from_db()
    assert reexecution.retry_due() == 1
    with pytest.raises(launch.NotDue):
        reexecution._again(run, "ada", "retry", False, retry=True)
    assert Run.objects.count() == 2


def test_a_run_that_is_executed_again_by_hand_is_not_retried_as_well():
    run = run_of("one_raises", tags={"dagster/max_retries": "1"})
    carry_out()
    made = again(run, from_failure=False)
    assert recover.Clock().one_pass().runs == 0
    assert list(Run.objects.filter(parent=run)) == [made]


def test_a_canceled_run_is_not_retried():
    run = run_of("breaks_once", tags={"dagster/max_retries": "1"})
    transitions.cancel_run(run.pk, "ada")
    assert recover.Clock().one_pass().runs == 0


def test_a_run_whose_job_is_gone_says_that_it_is_not_retried():
    run = run_of("one_raises", tags={"dagster/max_retries": "1"})
    carry_out()
    Run.objects.filter(pk=run.pk).update(job="gone")
    assert reexecution.retry_due() == 0
    run.refresh_from_db()
    assert run.retry_at is None
    assert run.error.startswith("it can't be executed again: job: there is no job 'gone'")
    assert not Hold.objects.exists()
