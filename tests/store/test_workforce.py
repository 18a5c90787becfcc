"""Workers are a gate: an op is admitted when one is free; when workers go, ops on their way go back."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from pools import claims, sizing
from pools.models import Gate
from runs import recover, states, transitions, workforce
from runs.heartbeat import Child
from runs.launcher import Launcher
from runs.models import Worker
from runs.worker import Slate
from tests.builders import (
    ADA,
    carry_out,
    end,
    in_state,
    in_use,
    job,
    op,
    pool,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    waiting_op,
    workers,
)
from tests.invariants import check_engine
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

A, R = "admitted", "ready"


def alive(queue="default"):
    return Gate.objects.get(key=f"workers:{queue}").limit


def test_an_op_waits_until_a_worker_comes():
    op_row = waiting_op()
    assert alive() == 0
    workers(1)
    assert state_of(op_row.run) == A
    assert alive() == 1


def test_no_more_ops_than_workers():
    workers(2)
    run = started_run(job(*(op(f"op{n}") for n in range(5))))
    assert [row.key for row in in_state(states.ADMITTED, run)] == ["op0", "op1"]


def test_a_worker_serves_its_queue_only():
    workers(3, queue="gpu")
    run = started_run(job(op("a"), op("b", queue="gpu")))
    assert states_of(run) == {"a": R, "b": A}


def test_each_worker_has_a_name_of_its_own_and_a_lease():
    born = workers(3)
    assert len({worker.name for worker in born}) == 3
    assert all(worker.lease_until > claims.clock_time() for worker in born)
    workforce.note_pid(born[0].pk, 123)
    assert Worker.objects.get(pk=born[0].pk).pid == 123


def test_when_workers_go_the_last_in_line_go_back_and_keep_their_place():
    born = workers(3)
    runs = [started_run(priority=priority) for priority in (0, 5, 0, 0)]
    assert [state_of(run) for run in runs] == [A, A, A, R]
    places = {run.pk: the_op(run).ready_at for run in runs}
    workforce.dismiss([born[0].pk, born[1].pk])
    assert [state_of(run) for run in runs] == [R, A, R, R]
    assert {run.pk: the_op(run).ready_at for run in runs} == places
    assert alive() == 1
    workers(1)
    assert [state_of(run) for run in runs] == [A, A, R, R]


def test_a_running_op_is_not_sent_back():
    born = workers(2)
    run = started_run(job(op("a"), op("b")))
    start(the_op(run, "a"))
    workforce.dismiss([worker.pk for worker in born])
    assert states_of(run) == {"a": "running", "b": R}
    gate = Gate.objects.get(key="workers:default")
    assert (gate.limit, gate.in_use, gate.cap) == (0, 1, 1)
    end(the_op(run, "a"))
    assert in_use("workers:default") == 0


def test_an_op_that_was_sent_back_can_not_be_started_under_its_old_ticket():
    (worker,) = workers(1)
    run = started_run()
    old = the_op(run)
    workforce.dismiss([worker.pk])
    assert transitions.start(old.pk, old.token, None, 1) is None
    assert state_of(run) == R


def test_dismissing_who_is_gone_already_is_harmless():
    (worker,) = workers(1)
    workforce.dismiss([worker.pk])
    workforce.dismiss([worker.pk, 12345])
    workforce.dismiss([])
    assert alive() == 0


def test_renewing_counts_who_is_still_known():
    first, second, _ = (worker.pk for worker in workers(3))
    assert workforce.renew([first, second]) == 2
    workforce.dismiss([first])
    assert workforce.renew([first, second]) == 1
    assert workforce.renew([]) == 0


def test_a_worker_that_was_counted_and_never_born_is_counted_out_again(settings):
    """Its launcher could not fork it, or was not told that it was counted: nobody renews for nobody."""
    settings.LEASE_SECONDS = 0.05
    born, missing = workers(2)
    launcher = Launcher({}, grace=0.0)
    launcher.id = born.launcher
    launcher.children[os.getpid()] = Child(os.getpid(), born.pk, born.queue, 0.0, Slate())
    wait_for(lambda: workforce.lapsed() == [born.pk, missing.pk], "their leases do not run out")
    settings.LEASE_SECONDS = 15.0
    launcher.ops.beat()
    assert workforce.lapsed() == [missing.pk]


def test_workers_whose_launcher_is_silent_are_counted_out():
    workers(2)
    run = started_run()
    late = Worker.objects.earliest("id")
    Worker.objects.filter(pk=late.pk).update(lease_until=claims.clock_time() - timedelta(seconds=1))
    assert workforce.lapsed() == [late.pk]
    assert workforce.dismiss_lapsed(workforce.lapsed()) == 1
    assert workforce.dismiss_lapsed(workforce.lapsed()) == 0
    assert alive() == 1
    assert state_of(run) == A


def test_a_dead_worker_is_counted_out_and_its_op_fails_in_one_transaction():
    (dead,) = workers(1)
    run = started_run(job(op("a"), op("b")))
    start(the_op(run, "a"), dead)
    workforce.bury([dead.pk], "lost its worker")
    check_engine()
    assert states_of(run) == {"a": "failure", "b": R}  # the dead worker takes nothing
    assert the_op(run, "a").error == "lost its worker"
    assert alive() == 0


def test_an_op_that_ended_before_its_worker_died_keeps_its_verdict():
    (dead,) = workers(1)
    run = started_run()
    carry_out(the_op(run))
    workforce.bury([dead.pk], "lost its worker")
    assert state_of(run) == "success"


def test_the_clock_counts_out_the_workers_of_a_host_that_is_lost(settings):
    settings.LEASE_SECONDS = 0.01
    clock = recover.Clock()
    workers(2)
    Worker.objects.update(lease_until=claims.clock_time() - timedelta(seconds=1))
    clock._awake_since -= 1
    assert clock.one_pass().workers == 2


def test_a_paused_pool_and_a_new_worker():
    pool("database", 1)
    sizing.pause("database", ADA)
    run = started_run(job(op("a", pool="database"), op("b")))
    workers(2)
    assert states_of(run) == {"a": R, "b": A}
    carry_out(the_op(run, "b"))
    assert state_of(run, "a") == R
