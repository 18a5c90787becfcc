"""What is older than it is to be kept is removed, and nothing that anybody may need."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.storage import storages

from pools import claims
from pools.models import Hold, Wait
from runs import catalog, launch, outputs, recover, reexecution, retention, states, transitions
from runs.models import LogLine, Op, OpEvent, OpOutput, Plan, Run, RunTag
from tests.builders import in_state, launched_run, perform, start, started_run, the_op, workers

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def ten_days(settings):
    settings.KEEP_RUNS = 10


def carry_out():
    while admitted := in_state(states.ADMITTED):
        for op_row in admitted:
            perform(op_row.pk, op_row.token)


def run_of(name, days_ago=20, **how):
    """A run of a job that ended so long ago."""
    workers(3)
    run = launched_run(launch.find_job(catalog.current(), name), **how)
    carry_out()
    return aged(run, days_ago)


def aged(run, days_ago):
    Run.objects.filter(pk=run.pk).update(ended_at=claims.clock_time() - timedelta(days=days_ago))
    run.refresh_from_db()
    assert run.over
    return run


def left():
    return set(Run.objects.values_list("id", flat=True))


def test_an_old_run_goes_with_all_that_is_its_own():
    old = run_of("talk", tags={"team": "growth"})
    young = run_of("one_op", days_ago=9)
    Wait.objects.create(
        holder=f"op:{the_op(old, 'speaks').pk}", token=1, at=old.ended_at, kind="pool", label="x", seconds=1
    )
    assert retention.prune() == retention.Removed(runs=1)
    assert left() == {young.pk}
    for rows in (LogLine, RunTag, OpEvent, OpOutput, Wait):
        assert not rows.objects.exists(), rows
    assert set(Op.objects.values_list("run_id", flat=True)) == {young.pk}
    assert set(Plan.objects.values_list("id", flat=True)) == {young.plan_id}


def test_a_run_that_is_not_over_is_kept_however_long_it_takes():
    workers(1)
    run = started_run()
    Run.objects.update(queued_at=claims.clock_time() - timedelta(days=100))
    start(the_op(run))
    assert retention.prune().runs == 0
    assert left() == {run.pk}
    assert Hold.objects.exists()


def test_without_a_setting_everything_is_kept(settings):
    settings.KEEP_RUNS = 0
    run = run_of("one_op", days_ago=5000)
    assert retention.prune() == retention.Removed()
    assert left() == {run.pk}


def test_the_file_of_a_value_goes_with_it():
    run = run_of("keeps_a_set")
    assert storages["outputs"].listdir(run.uid)[1]
    retention.prune()
    assert storages["outputs"].listdir(run.uid)[1] == []


def test_what_an_asset_returned_last_is_kept_with_its_run():
    older = run_of("kept_asset_job", days_ago=30)
    last = run_of("kept_asset_job", days_ago=20)
    assert retention.prune().runs == 1
    assert left() == {last.pk}
    assert outputs.last_of_asset("kept_asset") == 7
    assert older.pk not in left()


def test_a_run_is_kept_as_long_as_one_that_reuses_its_values():
    first = run_of("breaks_once", days_ago=30)
    second = reexecution.reexecute(first, who="ada", door="page", from_failure=True)
    carry_out()
    aged(second, 5)
    retention.prune()
    assert left() == {first.pk, second.pk}
    assert outputs.of_run(second.pk, {"start_value"}) == {"start_value": [1, 2]}
    aged(second, 20)
    retention.prune()
    retention.prune()
    assert left() == set()


def test_logs_and_outputs_can_go_earlier(settings):
    settings.KEEP_RUNS, settings.KEEP_LOGS, settings.KEEP_OUTPUTS = 100, 5, 10
    first, second = run_of("sums", days_ago=20), run_of("sums", days_ago=7)
    assert retention.prune() == retention.Removed(logs=2, outputs=1)
    assert left() == {first.pk, second.pk}
    assert not LogLine.objects.exists()
    assert set(OpOutput.objects.values_list("op__run_id", flat=True)) == {second.pk}
    assert retention.prune() == retention.Removed(), "what was seen to is not looked at again"


def test_batches_go_on_where_the_last_one_ended(settings, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    settings.KEEP_LOGS = 5
    for _ in range(5):
        run_of("one_op", days_ago=7)
    looks = iter([False, False, True, True, True, True])
    assert retention.prune(lambda: next(looks)).logs == 4
    assert retention.prune().logs == 1


def test_the_clock_prunes():
    run_of("one_op")
    recover.Clock().one_pass()
    assert left() == set()


def test_a_canceled_run_goes_as_well():
    run = launched_run()
    transitions.cancel_run(run.pk, "ada")
    aged(run, 11)
    assert retention.prune().runs == 1


def test_work_goes_on_between_two_batches(monkeypatch):
    """Each batch is a transaction of its own, and no larger than it may be."""
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        run_of("one_op")
    going_on: list[Run] = []
    before = [len(left())]

    def admit() -> bool:
        assert before[0] - len(left()) <= 2
        going_on.append(launched_run())  # at a desk of its own: it would be refused inside a transaction
        assert going_on[-1].state == states.STARTED
        before[0] = len(left())
        return False

    assert retention.prune(admit).runs == 5
    assert left() == {run.pk for run in going_on}
