"""Copies are what launching the same again would have made: the audit finds nothing, and they start and end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pools.models import Waiter
from runs import run_limits, states
from runs.models import Op, Run
from tests import backlog
from tests import builders as a
from tests.invariants import check_engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limits(engine):
    """Everything that a candidate may wait for."""
    a.pool("database", 1)
    a.tag_rule("team", 1000, "growth")
    a.tag_rule("tenant", 1000, per_value=True)
    run_limits.set_maximum(-1, a.ADA)


def launched() -> Run:
    tagged = {"kind": "heavy"}
    ops = [a.op(f"op_{n}", pool="database", tags=tagged) for n in range(3)]
    job = a.job(*ops, a.op("last", after=["op_0"]), max_concurrent=2, tag_rules=[a.rule("kind", 2, "heavy")])
    return a.launched_run(job, tags={"team": "growth", "tenant": "x"})


def test_copies_of_runs_in_progress(limits):
    first, last = launched(), launched()
    backlog.copy(first, last, 20)
    assert Run.objects.filter(state=states.STARTED).count() == 42
    assert Op.objects.filter(state=states.READY).count() == 3 * 42
    check_engine()
    a.workers(100)
    assert len(a.carry_out_all()) == 4 * 42
    assert not Run.objects.exclude(state=states.SUCCESS).exists()
    check_engine()


def test_copies_of_queued_runs_and_of_those_that_are_over(limits):
    a.workers(100)
    over = launched()
    a.carry_out_all()
    backlog.copy(over, over, 7)
    run_limits.set_maximum(0, a.ADA)
    queued = launched()
    backlog.copy(queued, queued, 5)
    assert Run.objects.filter(state=states.SUCCESS).count() == 8
    check_engine()
    run_limits.set_maximum(3, a.ADA)
    a.carry_out_all()
    assert Run.objects.filter(state=states.SUCCESS).count() == 14
    check_engine()


def test_copies_whom_a_gate_of_their_own_run_holds_back(limits):
    a.workers(1)
    never = [a.op(f"op_{n}", tags={"kind": "heavy"}) for n in range(3)]
    run = a.launched_run(a.job(*never, tag_rules=[a.rule("kind", 0, "heavy")]))
    backlog.copy(run, run, 5)
    gates = set(Waiter.objects.values_list("held_by__family", flat=True))
    assert gates == {f"run:{copied.pk}" for copied in Run.objects.all()}
    check_engine()


def test_an_op_with_a_ticket_is_not_copied(limits):
    op_row = a.admitted_op()
    with pytest.raises(ValueError, match="slots"):
        backlog.copy(op_row.run, op_row.run, 3)


def test_copies_in_room_stand_before_what_was_launched_since(limits):
    a.workers(100)
    over = launched()
    a.carry_out_all()
    a.let_pass(3600)
    backlog.leave_room(4)
    last = launched()
    a.carry_out_all()
    backlog.copy(over, over, 4, apart=timedelta(minutes=10), in_room=True)
    runs = list(Run.objects.order_by("id"))
    assert [runs[0].pk, runs[-1].pk, len(runs)] == [over.pk, last.pk, 6]
    assert [round((later.queued_at - runs[0].queued_at) / timedelta(minutes=10)) for later in runs[:-1]] == [*range(5)]
    assert runs[-2].queued_at < runs[-1].queued_at
    launched()
    check_engine()
