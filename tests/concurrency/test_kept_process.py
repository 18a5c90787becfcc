"""A worker's process runs one op after the other as long as it is kept, and each as if it were alone."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from pools import sizing
from pools.models import Hold
from runs import outputs, states, tickets, transitions, workforce
from runs.models import Op, Worker
from runs.transitions import starting
from runs.verdict import Verdict
from tests.builders import ADA, in_state, job, op, pool, started_run, states_of, the_op, workers
from tests.concurrency.deployments import ends, is_there
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True)]

AT_ONCE = 5.0  # seconds, with room for a busy machine


def pids(run):
    """The process of each op, in plan order."""
    found = outputs.of_run(run.pk, set(states_of(run)))
    return [found[key] for key in states_of(run)]


def test_ops_follow_each_other_in_one_process_up_to_its_budget(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_OPS": "4", "KEEP_PROCESS_SECONDS": "60"})
    run = ends(deployment.launch("one_process"), "success")
    found = pids(run)
    assert found[:4] == [found[0]] * 4
    assert found[4:] == [found[4]] * 2
    assert found[4] != found[0]
    assert not Hold.objects.exists()


def test_without_a_budget_each_op_has_a_process_of_its_own(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_OPS": "1"})
    assert len(set(pids(ends(deployment.launch("one_process"), "success")))) == 6


def test_its_time_ends_the_budget_too(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_SECONDS": "0"})
    assert len(set(pids(ends(deployment.launch("one_process"), "success")))) == 6


def test_who_is_isolated_fails_or_leaves_a_child_is_followed_by_nobody(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_SECONDS": "60"})
    run = ends(deployment.launch("not_one_process"), "success")
    assert len(set(pids(run))) == 5
    first, alone, third, leaves, fifth, fails = pids(run)
    assert alone not in (first, third)
    assert third == leaves
    assert leaves != fifth
    assert fails != fifth


def test_a_cancel_interrupts_the_op_that_a_kept_process_has_come_to(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_SECONDS": "60"})
    run = deployment.launch("brief_then_waits")
    horse = deployment.noted("started-waits-1")
    assert horse == outputs.of_run(run.pk, {"whose_process"})["whose_process"], "it was not kept"
    assert transitions.cancel_run(run.pk, "ada")
    ends(run, "canceled", AT_ONCE)
    assert states_of(run) == {"whose_process": "success", "waits": "canceled"}
    wait_for(lambda: not is_there(horse), "it is kept after a cancel", AT_ONCE)


def test_a_killed_process_fails_the_op_that_it_has_come_to_and_no_other(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_SECONDS": "60"})
    run = deployment.launch("brief_then_waits")
    killed = time.monotonic()
    os.kill(deployment.noted("started-waits-1"), signal.SIGKILL)
    ends(run, "failure", AT_ONCE)
    assert time.monotonic() - killed < AT_ONCE
    assert states_of(run) == {"whose_process": "success", "waits": "failure"}
    assert the_op(run, "waits").error == "its process died (signal 9, SIGKILL)"
    assert not Hold.objects.exists()


def test_a_process_is_not_kept_by_a_worker_that_stops(deployment):
    deployment.worker(1, env={"KEEP_PROCESS_SECONDS": "60"})
    pool("shared", 1)
    first, second = deployment.launch("one_waits"), deployment.launch("one_process")
    deployment.noted("started-waits-1")
    stopped = Worker.objects.get()
    os.kill(stopped.pid, signal.SIGTERM)
    wait_for(lambda: signal_was_taken(stopped.pid), "it does not take the signal")
    deployment.go()
    ends(first, "success", AT_ONCE)
    ends(second, "success")
    assert set(Op.objects.filter(worker_id=stopped.pk).values_list("run_id", flat=True)) == {first.pk}


def signal_was_taken(pid):
    """Whether a worker knows that it is to stop: what SIGTERM does then is another thing."""
    with open(f"/proc/{pid}/status") as file:
        pending = [line.split()[1] for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(int(mask, 16) & 1 << (signal.SIGTERM - 1) for mask in pending)


def of_a_worker(op_row, worker):
    """An op that a worker's process has started."""
    begun = transitions.start(op_row.pk, op_row.token, worker.pk, 4711)
    assert begun is not None
    return begun


def taker(worker, begun):
    return transitions.Taker("default", worker.pk, 4711, begun)


def test_what_is_admitted_in_place_of_an_op_starts_with_its_end(checked):
    (worker,) = workers(1)
    run = started_run(job(op("a"), op("b")))
    begun = of_a_worker(the_op(run, "a"), worker)
    mine = taker(worker, begun)
    assert transitions.complete(begun.op_id, begun.token, Verdict.success(), mine)
    following = the_op(run, "b")
    assert (following.state, following.attempt, following.worker_id, following.pid) == ("running", 1, worker.pk, 4711)
    assert mine.begun == replace(begun, op_id=following.pk, token=following.token, key="b")
    assert mine.begun == transitions.start(following.pk, following.token, worker.pk, 4711), "it is told the same"
    assert tickets.lost([tickets.Ticket(following.pk, following.token, "default")]), "it needs no ticket"


def test_the_next_op_may_be_of_another_run(checked):
    (worker,) = workers(1)
    first, second = started_run(job(op("a"))), started_run(job(op("b")), tags={"team": "core"})
    mine = taker(worker, of_a_worker(the_op(first), worker))
    assert transitions.complete(mine.known.op_id, mine.known.token, Verdict.success(), mine)
    assert mine.begun is not None
    assert (mine.begun.run_uid, mine.begun.key, mine.begun.tags["team"]) == (second.uid, "b", "core")
    assert mine.begun == transitions.start(mine.begun.op_id, mine.begun.token, worker.pk, 4711)


def test_a_process_that_was_not_told_of_its_next_op_finds_it(checked):
    """The database committed both and its answer did not arrive."""
    (worker,) = workers(1)
    run = started_run(job(op("a"), op("b")))
    mine = taker(worker, of_a_worker(the_op(run, "a"), worker))
    for _ in range(2):
        assert transitions.complete(mine.known.op_id, mine.known.token, Verdict.success('{"json": 1}'), mine)
        assert mine.begun is not None
        assert mine.begun.op_id == the_op(run, "b").pk
    assert not transitions.complete(mine.known.op_id, mine.known.token, Verdict.success('{"json": 2}'))
    assert states_of(run) == {"a": "success", "b": "running"}


def test_a_worker_that_is_not_counted_any_more_starts_nothing_in_place_of_its_op(checked):
    counted_out, other = workers(2)
    run = started_run(job(op("a"), op("b"), op("c")))
    mine = taker(counted_out, of_a_worker(the_op(run, "a"), counted_out))
    of_a_worker(the_op(run, "b"), other)
    workforce.dismiss([counted_out.pk])
    workers(1)
    assert transitions.complete(mine.known.op_id, mine.known.token, Verdict.success(), mine)
    assert mine.begun is None
    waiting = the_op(run, "c")
    assert waiting.state == "admitted"
    assert tickets.lost([tickets.Ticket(waiting.pk, waiting.token, "default")]) == []


def test_of_several_the_first_that_may_be_taken_is(checked):
    worker, *_ = workers(5)
    workers(1, queue="other")
    pool("all", 1)
    running = started_run(job(op("first", pool="all")))
    run = started_run(
        job(
            op("a", pool="all", isolated=True),
            op("b", pool="all", queue="other"),
            op("c", pool="all"),
            op("d", pool="all"),
        )
    )
    mine = taker(worker, of_a_worker(the_op(running), worker))
    with starting.taking_over(mine):
        sizing.set_limit("all", 5, ADA)
    assert mine.begun is not None
    assert mine.begun.key == "c"
    admitted = in_state(states.ADMITTED)
    assert {row.key for row in admitted} == {"a", "b", "d"}
    assert tickets.lost([tickets.Ticket(row.pk, row.token, row.queue) for row in admitted]) == []
    assert run.pk == mine.begun.run_id
