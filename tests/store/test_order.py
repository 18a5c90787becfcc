"""One order over all lines: who is next, who is passed by, and that a refused candidate takes nothing."""

from __future__ import annotations

import pytest
from django.db.utils import OperationalError

from pools import claims, sizing
from pools.claims import Desk
from pools.models import Lane
from runs import recover, run_limits, states
from tests.builders import (
    ADA,
    carry_out,
    carry_out_all,
    end,
    in_state,
    in_use,
    job,
    launched_run,
    op,
    pool,
    rule,
    start,
    started_run,
    state_of,
    states_of,
    tag_rule,
    the_op,
    workers,
)
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

A, R = "admitted", "ready"


def test_a_blocked_op_never_stops_those_behind_it():
    pool("database", 0)
    workers(2)
    run = started_run(job(op("blocked", pool="database", priority=100), op("a"), op("b", pool="api")))
    assert states_of(run) == {"blocked": R, "a": A, "b": A}


def test_a_lesser_op_of_another_line_does_not_take_the_last_worker():
    workers(1)
    first = started_run()
    lesser = started_run(job(op("lesser", pool="x")))
    better = started_run(job(op("better", pool="y")), priority=1)
    carry_out(the_op(first))
    assert (state_of(lesser), state_of(better)) == (R, A)


def test_an_op_that_the_pool_refuses_takes_no_worker_and_no_place_in_its_executor():
    """Dagster counts an op against its tag limits before the pool check refuses it."""
    pool("database", 0)
    workers(1)
    ops = [op("refused", pool="database", tags={"kind": "x"}, priority=9), op("admissible", tags={"kind": "x"})]
    run = started_run(job(*ops, max_concurrent=1, tag_rules=[rule("kind", 1)]))
    assert states_of(run) == {"refused": R, "admissible": A}
    assert in_use("workers:default") == 1


def test_an_op_that_the_executor_refuses_takes_no_pool_slot():
    pool("database", 1)
    workers(9)
    ops = [op("first"), op("refused", pool="database")]
    limited = started_run(job(*ops, max_concurrent=1), priority=9)
    other = started_run(job(op("x", pool="database")))
    assert states_of(limited) == {"first": A, "refused": R}
    assert state_of(other) == A


def test_an_op_without_a_worker_takes_no_pool_slot():
    pool("database", 1)
    workers(1)
    stranded = started_run(job(op("stranded", pool="database", queue="gpu")), priority=9)
    run = started_run(job(op("x", pool="database")))
    assert (state_of(stranded), state_of(run)) == (R, A)
    carry_out(the_op(run))
    workers(1, queue="gpu")
    assert state_of(stranded) == A


def test_runs_and_ops_move_in_one_decision():
    """The end of an op ends its run, which lets the next start, whose root takes the worker."""
    workers(1)
    run_limits.set_maximum(1, ADA)
    first, second = launched_run(), launched_run()
    start(the_op(first))
    end(the_op(first))
    second.refresh_from_db()
    assert (second.state, state_of(second)) == ("started", A)


def test_the_ops_of_a_run_that_starts_take_their_turn_among_those_that_wait():
    workers(1)
    run_limits.set_maximum(2, ADA)
    busy, waiting = launched_run(), launched_run()
    urgent = launched_run(priority=5)
    assert (state_of(busy), state_of(waiting), urgent.state) == (A, R, "queued")
    carry_out(the_op(busy))
    assert (state_of(waiting), state_of(urgent)) == (R, A)


def test_an_edit_that_frees_two_gates_at_once_keeps_one_order():
    workers(1)
    sizing.set_default_limit(0, ADA)
    low = started_run(job(op("low", pool="x")))
    high = started_run(job(op("high", pool="y")), priority=1)
    sizing.set_default_limit(1, ADA)
    assert (state_of(low), state_of(high)) == (R, A)


def test_many_lines_at_one_worker_drain_in_order():
    runs = [started_run(job(op(f"op{n}", pool=f"pool{n % 5}")), priority=n % 3) for n in range(10)]
    workers(1)
    order = carry_out_all()
    assert order == [f"op{n}" for n in sorted(range(10), key=lambda n: (-(n % 3), n))]
    assert len(runs) == 10


def test_what_one_transaction_did_not_look_at_is_done_in_further_ones(monkeypatch):
    monkeypatch.setattr("pools.claims.board.LOOKS", 3)
    run_limits.set_maximum(-1, ADA)
    runs = [started_run(job(op("only", pool=f"pool{n}")), priority=n % 4) for n in range(20)]
    workers(8)
    admitted = {row.run_id for row in in_state(states.ADMITTED)}
    best = sorted(runs, key=lambda run: (-run.priority, run.pk))[:8]
    assert admitted == {run.pk for run in best}
    assert not Lane.objects.filter(dirty=True).exists()


def test_a_raise_over_more_lanes_than_are_looked_at_takes_few_transactions(monkeypatch):
    """Each admits all whom it has looked at, and not the first of them only."""
    monkeypatch.setattr("pools.claims.board.LOOKS", 10)
    run_limits.set_maximum(-1, ADA)
    pool("database", 0)
    workers(40)
    for n in range(40):
        launched_run(job(op("only", pool={"database": 1, f"pool{n}": 1})))
    opened = []
    real = Desk.close
    monkeypatch.setattr(Desk, "close", lambda desk: opened.append(1) or real(desk))
    sizing.set_limit("database", 30, ADA)
    assert in_use("pool:database") == 30
    assert len(opened) <= 8


def test_lanes_left_by_a_process_that_died_are_found_by_the_next(monkeypatch):
    run_limits.set_maximum(-1, ADA)
    runs = [started_run(job(op("only", pool=f"pool{n}"))) for n in range(6)]
    monkeypatch.setattr("pools.claims.board.LOOKS", 2)
    monkeypatch.setattr("pools.claims.doors.drain", lambda: 0)  # the process dies before it goes on
    workers(6)
    assert Lane.objects.filter(dirty=True).exists()
    assert len(in_state(states.ADMITTED)) < 6
    check_engine()
    monkeypatch.undo()
    assert claims.drain() > 0
    assert [state_of(run) for run in runs] == [A] * 6


def test_when_going_on_fails_what_happened_has_happened_all_the_same(monkeypatch, caplog):
    """It was committed: whoever is told that it failed would do it again."""
    run_limits.set_maximum(-1, ADA)
    runs = [started_run(job(op("only", pool=f"pool{n}"))) for n in range(6)]

    def fails():
        raise OperationalError("canceling statement due to lock timeout")

    with monkeypatch.context() as broken:
        broken.setattr("pools.claims.board.LOOKS", 2)
        broken.setattr("pools.claims.doors.drain", fails)
        assert len(workers(6)) == 6
    assert "left to the clock" in caplog.text
    assert recover.Clock().one_pass().lanes > 0
    assert [state_of(run) for run in runs] == [A] * 6


def test_queued_runs_with_different_tags_share_the_queue_in_one_order():
    run_limits.set_maximum(0, ADA)
    tag_rule("team", 9, per_value=True)
    runs = [launched_run(tags={"team": f"t{n % 4}"}, priority=n % 2) for n in range(8)]
    run_limits.set_maximum(3, ADA)
    started = [run.pk for run in runs if _started(run)]
    assert started == [run.pk for run in runs if run.priority == 1][:3]


def _started(run):
    run.refresh_from_db()
    return run.state == "started"
