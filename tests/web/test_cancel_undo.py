"""For ten seconds, canceling all runs of a filter can be undone before it begins."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from controlplane.dashboard import screens
from pools import claims
from runs import bulk_cancel, recover, run_limits, states
from runs.filters import Filter
from runs.models import BulkCancel, Run
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "definitions")]


@pytest.fixture
def asked_for(operator: Client) -> BulkCancel:
    """Somebody has just asked to cancel three queued runs."""
    run_limits.set_maximum(0, a.ADA)
    newest = [a.launched_run() for _ in range(3)][-1]
    response = operator.post("/runs/cancel/", {"newest": str(newest.pk), "total": "3"}, follow=True)
    assert "3 runs are canceled in 10 s, unless you undo it." in response.content.decode()
    return BulkCancel.objects.get()


def canceled() -> int:
    return Run.objects.filter(state=states.CANCELED).count()


def time_is_over() -> None:
    BulkCancel.objects.update(begins_at=claims.clock_time())


def test_nothing_is_canceled_before_its_time_and_all_after_it(asked_for: BulkCancel) -> None:
    assert asked_for.begins_at - asked_for.begun_at == timedelta(seconds=10)
    clock = recover.Clock()
    assert clock.one_pass().canceled == 0
    assert canceled() == 0
    a.launched_run()
    time_is_over()
    assert clock.one_pass().canceled > 0
    assert canceled() == 3, "what was launched since is left alone"


def test_who_undoes_it_in_time_cancels_nothing(operator: Client, asked_for: BulkCancel) -> None:
    where = f"/runs/cancel/{asked_for.pk}/undo/"
    text = operator.get("/runs/").content.decode()
    assert "3 runs are canceled <time" in text
    assert where in text
    assert "Cancel nothing" in operator.get(where).content.decode()
    assert operator.post(where).status_code == 302
    time_is_over()
    assert bulk_cancel.finish() == 0
    assert canceled() == 0
    assert "Nothing was canceled: ann undid it" in operator.get("/runs/").content.decode()
    assert operator.post(where).status_code == 409


def test_what_has_begun_is_not_undone(operator: Client, asked_for: BulkCancel) -> None:
    time_is_over()
    response = operator.post(f"/runs/cancel/{asked_for.pk}/undo/")
    assert response.status_code == 409
    assert "It has begun" in response.content.decode()
    bulk_cancel.finish()
    assert canceled() == 3


def test_the_stream_offers_it_without_a_form(asked_for: BulkCancel) -> None:
    drawn = next(block.draw() for block in screens.blocks_of("queue") if block.id == "bulk-cancel")
    assert f"/runs/cancel/{asked_for.pk}/undo/" in drawn
    assert "<form" not in drawn


def test_a_viewer_undoes_nothing(viewer: Client) -> None:
    run_limits.set_maximum(0, a.ADA)
    a.launched_run()
    row = bulk_cancel.begin(Filter(), "bob", undo_for=10.0)
    assert viewer.post(f"/runs/cancel/{row.pk}/undo/").status_code == 403
    assert viewer.post("/runs/cancel/99/undo/").status_code == 404


def test_another_that_begins_at_once_does_not_wait_for_it(asked_for: BulkCancel) -> None:
    assert bulk_cancel.begin(Filter(), "bob").canceled == 3
    time_is_over()
    bulk_cancel.finish()
    asked_for.refresh_from_db()
    assert (asked_for.canceled, asked_for.ended_at is not None) == (0, True)
