"""All runs of a filter are canceled, some hundred a transaction."""

from __future__ import annotations

import pytest

from pools.models import Hold, Waiter
from runs import bulk_cancel, recover, run_limits, transitions
from runs.filters import Filter
from runs.models import BulkCancel, Run
from tests.builders import ADA, in_use, launched_run, queued_run, start, started_run, states_of, the_op, workers
from tests.invariants import check_engine

pytestmark = pytest.mark.usefixtures("engine")


def states():
    return sorted(Run.objects.values_list("state", flat=True))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(bulk_cancel, "BATCH", 3)


def test_queued_runs_are_canceled_and_the_running_one_goes_on():
    workers(1)
    running = started_run()
    for _ in range(5):
        queued_run()
    row = bulk_cancel.begin(Filter("queued"), "ada")
    assert (row.canceled, row.total, row.ended_at is not None) == (5, 5, True)
    assert states() == ["canceled"] * 5 + ["started"]
    assert in_use("runs") == 1
    assert set(Run.objects.filter(state="canceled").values_list("canceled_by", flat=True)) == {"ada"}
    check_engine()
    assert states_of(running) == {"only": "admitted"}


def test_runs_in_progress_are_interrupted():
    workers(2)
    first, second = started_run(), started_run()
    start(the_op(first))
    assert bulk_cancel.begin(Filter(), "ada").canceled == 2
    assert states() == ["canceled", "canceling"]
    assert transitions.give_back(the_op(first).pk, the_op(first).token)
    assert states() == ["canceled", "canceled"]
    assert not Hold.objects.exists()
    assert not Waiter.objects.exists()
    assert second.pk


def test_a_filter_chooses():
    run_limits.set_maximum(0, ADA)
    launched_run(tags={"team": "a"})
    launched_run(tags={"team": "b"})
    assert bulk_cancel.begin(Filter("queued", tag="team=a"), "ada").canceled == 1
    assert bulk_cancel.begin(Filter("queued", job="other"), "ada").canceled == 0
    assert states() == ["canceled", "queued"]


def test_the_end_of_one_starts_none_that_is_to_be_canceled(small_batches):
    run_limits.set_maximum(2, ADA)
    for _ in range(10):
        launched_run()
    assert bulk_cancel.begin(Filter(), "ada").canceled == 10
    assert Run.objects.exclude(started_at=None).count() == 2


def test_what_is_launched_later_is_not_concerned(small_batches, monkeypatch):
    monkeypatch.setattr(bulk_cancel, "AT_ONCE", 0.0)
    run_limits.set_maximum(0, ADA)
    for _ in range(5):
        launched_run()
    row = bulk_cancel.begin(Filter("queued"), "ada")
    assert (row.canceled, row.ended_at) == (3, None)
    assert bulk_cancel.latest() == row
    later = launched_run()
    assert recover.Clock().one_pass().canceled == 2
    row = BulkCancel.objects.get()
    assert (row.canceled, row.total) == (5, 5)
    assert row.ended_at is not None
    later.refresh_from_db()
    assert later.state == "queued"
    assert bulk_cancel.latest() == row


def test_it_goes_up_to_a_run_that_was_seen():
    workers(1)
    started_run()
    run_limits.set_maximum(0, ADA)
    seen = launched_run()
    launched_run()
    assert bulk_cancel.matching(Filter()) == bulk_cancel.Matching(2, 1, seen.pk + 1)
    assert bulk_cancel.matching(Filter("queued"), seen.pk) == bulk_cancel.Matching(1, 0, seen.pk)
    assert bulk_cancel.matching(Filter(job="nothing")) == bulk_cancel.Matching(0, 0, 0)
    assert bulk_cancel.begin(Filter(), "ada", seen.pk).canceled == 2
    assert states() == ["canceled", "canceled", "queued"]


def test_the_latest_is_the_one_that_goes_on(small_batches, monkeypatch):
    assert bulk_cancel.latest() is None
    monkeypatch.setattr(bulk_cancel, "AT_ONCE", 0.0)
    run_limits.set_maximum(0, ADA)
    for _ in range(5):
        launched_run()
    first = bulk_cancel.begin(Filter(), "ada")
    second = bulk_cancel.begin(Filter(job="nothing"), "ada")
    assert second.ended_at is not None
    assert bulk_cancel.latest() == first
    bulk_cancel.finish()
    assert bulk_cancel.latest() == second


def test_a_run_that_ends_meanwhile_is_not_counted(small_batches):
    run_limits.set_maximum(0, ADA)
    runs = [launched_run() for _ in range(4)]
    transitions.cancel_run(runs[0].pk, "grace")
    assert bulk_cancel.begin(Filter(), "ada").canceled == 3
    assert Run.objects.filter(canceled_by="grace").count() == 1


def test_nothing_to_cancel_ends_at_once():
    assert bulk_cancel.begin(Filter(), "ada").ended_at is not None
