"""What the timeline of a run draws: waiting, starting, every attempt, and the delays between them."""

from __future__ import annotations

import pytest

from controlplane.dashboard.timeline import Timeline
from pools import sizing
from runs import queries, time_split, transitions
from runs.models import Op, Run
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]


def bars(op: Op) -> list[tuple[str, int, int]]:
    """What is drawn for an op, (kind, from, to), in percent; what took no time aside."""
    run = Run.objects.get(pk=op.run_id)
    ops = queries.ops_of(run)
    drawn = Timeline(run, ops, time_split.of_run(run, ops, None).spans).rows[0].bars
    return [
        (bar.kind, round(bar.x), round(bar.x + bar.width)) for bar in drawn if round(bar.x) < round(bar.x + bar.width)
    ]


def test_every_attempt_is_drawn_apart_from_its_wait() -> None:
    a.pool("database", 0)
    a.workers(1)
    op = a.waiting_op(a.op("copy", pool="database"))
    a.let_pass(600)
    assert bars(op) == [("wait", 0, 100)]
    sizing.set_limit("database", 1, a.ADA)
    a.start(op)
    a.let_pass(600)
    assert bars(op) == [("wait", 0, 50), ("run", 50, 100)]
    a.fail(op, retry_in=600)
    a.let_pass(600)
    assert bars(op) == [("wait", 0, 33), ("fail", 33, 67), ("delay", 67, 100)]
    a.due(op)
    transitions.retry_due()
    a.start(op)
    a.let_pass(600)
    a.end(op)
    assert bars(op) == [("wait", 0, 25), ("fail", 25, 50), ("delay", 50, 75), ("ok", 75, 100)]


def test_a_wait_that_was_canceled_is_drawn() -> None:
    op = a.waiting_op()
    a.let_pass(600)
    transitions.cancel_run(op.run_id, "ada")
    assert bars(op) == [("wait", 0, 100)]


def test_an_attempt_that_was_stopped_is_no_failure() -> None:
    op = a.running_op()
    a.let_pass(600)
    transitions.cancel_run(op.run_id, "ada")
    a.end(op, a.Verdict.canceled())
    assert bars(op) == [("off", 0, 100)]
