"""The life of a run: it starts, its ops go through their states, it ends and frees everything."""

from __future__ import annotations

import pytest

from pools.models import Gate, Hold, Waiter
from runs import states, transitions
from runs.models import OpOutput, Worker
from runs.verdict import Verdict
from tests.builders import (
    admitted_op,
    carry_out,
    carry_out_all,
    end,
    fail,
    holds_of,
    in_state,
    in_use,
    job,
    op,
    pool,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    waiting_op,
    workers,
)
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


DIAMOND = (op("top"), op("left", after=["top"]), op("right", after=["top"]), op("bottom", after=["left", "right"]))


def test_a_run_starts_at_once_when_there_is_room_and_its_roots_wait():
    run = started_run(job(*DIAMOND))
    assert run.started_at is not None
    assert states_of(run) == {"top": "ready", "left": "pending", "right": "pending", "bottom": "pending"}


def test_without_a_worker_nothing_is_admitted():
    assert waiting_op().token is None
    assert Hold.objects.filter(holder__startswith="op:").count() == 0


def test_an_admitted_op_holds_its_slots_under_a_token():
    pool("database", 2)
    admitted = admitted_op(op("only", pool="database"))
    assert holds_of(admitted) == {"pool:database": 1, "workers:default": 1}
    assert set(Hold.objects.filter(holder=f"op:{admitted.pk}").values_list("token", flat=True)) == {admitted.token}
    assert admitted.admitted_at is not None
    assert admitted.attempt == 0


def test_a_started_op_runs_its_first_attempt_and_keeps_its_slots():
    admitted = admitted_op()
    worker = Worker.objects.get()
    attempt = transitions.start(admitted.pk, admitted.token, worker_id=worker.pk, pid=99)
    assert (attempt.number, attempt.key, attempt.run_id) == (1, "only", admitted.run_id)
    running = the_op(admitted.run)
    assert (running.state, running.attempt, running.worker_id, running.pid) == ("running", 1, worker.pk, 99)
    assert holds_of(running) == {"workers:default": 1}


def test_a_run_ends_with_its_last_op_and_frees_everything():
    running = running_op(op("only", pool="database"))
    end(running, Verdict.success('{"json": 3}'))
    running.run.refresh_from_db()
    assert (running.state, running.run.state) == ("success", "success")
    assert running.run.ended_at == running.ended_at
    assert OpOutput.objects.get(op=running).body == '{"json": 3}'
    assert not Hold.objects.exists()
    assert not Waiter.objects.exists()
    assert in_use("runs") == in_use("pool:database") == in_use("workers:default") == 0


def test_ops_become_ready_when_all_their_upstream_has_succeeded():
    workers(4)
    run = started_run(job(*DIAMOND))
    carry_out(the_op(run, "top"))
    assert states_of(run) == {"top": "success", "left": "admitted", "right": "admitted", "bottom": "pending"}
    carry_out(the_op(run, "left"))
    assert state_of(run, "bottom") == "pending"
    check_engine()
    carry_out(the_op(run, "right"))
    assert state_of(run, "bottom") == "admitted"
    carry_out(the_op(run, "bottom"))
    run.refresh_from_db()
    assert run.state == "success"


def test_a_freed_slot_is_given_on_in_the_transaction_that_frees_it():
    workers(1)
    run = started_run(job(op("a"), op("b")))
    first, second = the_op(run, "a"), the_op(run, "b")
    assert (first.state, second.state) == ("admitted", "ready")
    carry_out(first)
    assert state_of(run, "b") == "admitted"


def test_a_failed_op_skips_all_its_downstream_and_the_rest_goes_on():
    workers(4)
    run = started_run(job(op("bad"), op("next", after=["bad"]), op("last", after=["next", "good"]), op("good")))
    bad = the_op(run, "bad")
    start(bad)
    fail(bad, "ValueError: no")
    assert states_of(run) == {"bad": "failure", "next": "skipped", "good": "admitted", "last": "skipped"}
    assert bad.error == "ValueError: no"
    run.refresh_from_db()
    assert run.state == "started"
    carry_out(the_op(run, "good"))
    run.refresh_from_db()
    assert run.state == "failure"


def test_a_skipped_op_stays_skipped_when_its_other_upstream_succeeds_later():
    workers(2)
    run = started_run(job(op("bad"), op("good"), op("both", after=["bad", "good"])))
    for key in ("bad", "good"):
        start(the_op(run, key))
    fail(the_op(run, "bad"))
    end(the_op(run, "good"))
    assert state_of(run, "both") == "skipped"


def test_two_upstream_that_fail_skip_once():
    workers(2)
    run = started_run(job(op("a"), op("b"), op("both", after=["a", "b"])))
    for key in ("a", "b"):
        start(the_op(run, key))
    fail(the_op(run, "a"))
    check_engine()
    fail(the_op(run, "b"))
    run.refresh_from_db()
    assert run.state == "failure"


def test_an_error_is_cut_to_what_the_row_has_room_for():
    running = running_op()
    fail(running, "x" * 600)
    assert running.error == "x" * 500


def test_the_gates_within_a_run_are_gone_with_it():
    workers(1)
    run = started_run(
        job(op("a", tags={"kind": "x"}), max_concurrent=1, tag_rules=[{"key": "kind", "limit": 1}], name="limited")
    )
    family = Gate.objects.filter(family=f"run:{run.pk}")
    assert sorted(family.values_list("kind", flat=True)) == ["executor", "executor_tag"]
    carry_out_all()
    assert not family.exists()


def test_a_long_chain_runs_through():
    workers(1)
    keys = [f"op{n}" for n in range(30)]
    run = started_run(job(*(op(key, after=keys[:n][-1:]) for n, key in enumerate(keys))))
    assert carry_out_all() == keys
    run.refresh_from_db()
    assert run.state == "success"


def test_a_wide_run_runs_through_one_worker():
    workers(1)
    run = started_run(job(op("root"), *(op(f"leaf{n}", after=["root"]) for n in range(60)), op("free")))
    done = carry_out_all()
    assert sorted(done) == sorted(states_of(run))
    run.refresh_from_db()
    assert run.state == "success"


def test_ops_of_many_runs_share_the_workers():
    workers(3)
    runs = [started_run(job(*DIAMOND)) for _ in range(4)]
    assert len(in_state(states.ADMITTED)) == 3
    carry_out_all()
    for run in runs:
        run.refresh_from_db()
        assert run.state == "success"
