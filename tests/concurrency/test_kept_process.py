"""A worker's process runs one op after the other as long as it is kept, and each as if it were alone."""

from __future__ import annotations

import os
import signal
import time

import pytest

from pools import sizing
from pools.models import Hold
from runs import outputs, recover, states, tickets, transitions
from runs.models import Op, Worker
from runs.verdict import Verdict
from tests.builders import ADA, in_state, job, op, pool, start, started_run, state_of, states_of, the_op, workers
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


def test_a_ticket_that_was_taken_over_and_lost_is_issued_again(checked):
    workers(1)
    run = started_run(job(op("a"), op("b")))
    start(the_op(run, "a"))
    with tickets.taking_over("default") as taken:
        assert transitions.complete(the_op(run, "a").pk, the_op(run, "a").token, Verdict.success())
    assert [ticket.op_id for ticket in taken] == [the_op(run, "b").pk]
    assert tickets.lost(taken) == taken, "it is on nobody's queue"
    assert state_of(run, "b") == "admitted"
    Op.objects.filter(state=states.ADMITTED).update(admitted_at="2026-01-01T00:00:00Z")
    assert recover.reissue_lost_tickets() == 1
    assert tickets.lost(taken) == []


def test_of_several_tickets_the_first_that_may_be_taken_is(checked):
    workers(4)
    pool("all", 0)
    run = started_run(
        job(
            op("a", pool="all", isolated=True),
            op("b", pool="all", queue="other"),
            op("c", pool="all"),
            op("d", pool="all"),
        )
    )
    workers(1, queue="other")
    with tickets.taking_over("default") as taken:
        sizing.set_limit("all", 4, ADA)
    assert len(in_state(states.ADMITTED)) == 4
    assert [ticket.op_id for ticket in taken] == [the_op(run, "c").pk]
    others = [tickets.Ticket(row.pk, row.token, row.queue) for row in in_state(states.ADMITTED) if row.key != "c"]
    assert tickets.lost(others) == []
