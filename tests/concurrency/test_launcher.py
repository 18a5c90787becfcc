"""A real launcher with real workers and real ops: what happens when any of them is killed, stopped or interrupted."""

from __future__ import annotations

import json
import os
import signal
import time

import django_rq
import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from pools.models import Gate, Hold
from runs import outputs, recover, states, transitions
from runs.models import LogLine, Op, Worker
from tests.builders import in_state, in_use, pool, state_of, states_of, the_op
from tests.concurrency.deployments import PATIENCE, ends, is_there, seconds_since
from tests.concurrency.test_one_gate import most_at_once, spans_of_ops
from tests.invariants import check_engine
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True)]

AT_ONCE = 5.0  # seconds, with room for a busy machine; what takes a lease takes fifteen


def test_real_ops_run_to_their_end(deployment):
    deployment.worker(2)
    runs = [deployment.launch("sums") for _ in range(2)]
    for run in runs:
        ends(run, "success")
        assert outputs.of_run(run.pk, {"joined"}) == {"joined": "6-6-None"}
        assert LogLine.objects.filter(run=run, op__key="joined").values_list("text", flat=True)[0].startswith("joining")
    assert not Hold.objects.exists()


def test_two_launchers_share_the_work_and_no_limit_is_exceeded(deployment):
    pool("shared", 3)
    alone = {"KEEP_PROCESS_OPS": "1"}
    deployment.worker(2, env=alone)
    deployment.worker(2, env=alone)
    assert Gate.objects.get(key="workers:default").limit == 4
    runs = [deployment.launch("many_brief") for _ in range(4)]
    for run in runs:
        ends(run, "success", 60)
    assert 1 <= most_at_once(spans_of_ops()) <= 3
    launchers = set(Op.objects.values_list("worker__launcher", flat=True))
    assert len(launchers) == 2
    pids = [pid for run in runs for pid in outputs.of_run(run.pk, set(states_of(run))).values()]
    assert len(pids) == 24
    assert len(set(pids)) == 24  # each op had a process of its own


# --- deaths -----------------------------------------------------------------------------------------


def test_a_killed_op_process_fails_its_attempt_at_once_and_its_retry_policy_applies(deployment):
    deployment.worker(2)
    run = deployment.launch("one_dies_once")
    pid = deployment.noted("started-dies_once-1")
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    deployment.noted("started-dies_once-2", AT_ONCE)
    assert seconds_since(killed) < AT_ONCE
    deployment.go()
    ends(run, "success")
    assert the_op(run).attempt == 2
    assert in_use("pool:shared") == 0


def test_an_op_that_ends_its_process_fails_at_once(deployment):
    """It exits with 0, as after a verdict: nobody but its worker can tell, and the next beat is seconds away."""
    deployment.worker(1)
    ends(deployment.launch("one_op"), "success")
    for _ in range(3):  # one of them would come just before a beat
        run = deployment.launch("one_quits")
        deployment.noted("started-quits-1")
        (deployment.folder / "started-quits-1").unlink()
        ended = time.monotonic()
        ends(run, "failure")
        assert seconds_since(ended) < 2.0
        assert the_op(run).error == "its process died (exit status 0)"


def test_a_job_of_somebody_else_on_the_queue_ends_no_worker(deployment):
    deployment.worker(1)
    (worker,) = Worker.objects.all()
    redis = django_rq.get_connection("default")
    queue = Queue("default", connection=redis, serializer=JSONSerializer)
    strangers = [queue.enqueue_call("time.time", result_ttl=60), queue.enqueue_call("time.sleep", args=("no number",))]
    broken = queue.enqueue_call("time.time", result_ttl=60)
    redis.hset(broken.key, "data", b"not what any serializer wrote")
    ends(deployment.launch("one_op"), "success")
    assert [job.get_status() for job in strangers] == ["finished", "failed"]
    assert [row.pk for row in Worker.objects.all()] == [worker.pk]


def test_a_killed_worker_takes_its_op_with_it_and_is_replaced(deployment):
    launcher = deployment.worker(2)
    run = deployment.launch("one_waits")
    horse = deployment.noted("started-waits-1")
    worker = Worker.objects.get(pk=the_op(run).worker_id)
    os.kill(worker.pid, signal.SIGKILL)
    ends(run, "failure", AT_ONCE)
    assert the_op(run).error == "lost its worker (signal 9, SIGKILL)"
    wait_for(lambda: not is_there(horse), "the op's process outlives its worker", AT_ONCE)
    wait_for(lambda: Worker.objects.filter(pid__isnull=False).count() == 2, "no worker takes its place", AT_ONCE)
    assert not Worker.objects.filter(pk=worker.pk).exists()
    assert Gate.objects.get(key="workers:default").limit == 2
    check_engine()
    for again in [deployment.launch("one_op") for _ in range(4)]:
        ends(again, "success")
    assert launcher.terminate() == 0


@pytest.mark.parametrize("victim", ["op", "worker", "launcher"])
def test_what_a_dead_op_started_is_gone_when_its_slots_are_free(deployment, victim):
    launcher = deployment.worker(1)
    run = deployment.launch("one_has_a_child")
    horse, child = deployment.noted("started-has_a_child-1"), deployment.noted("child")
    assert is_there(child)
    if victim == "launcher":
        launcher.kill()
        deployment.worker(1)
    else:
        os.kill({"op": horse, "worker": the_op(run).worker.pid}[victim], signal.SIGKILL)
    try:
        ends(run, "failure", 2 * AT_ONCE)
        assert not is_there(child), "it works on without a slot"
    finally:
        if is_there(child):
            os.kill(child, signal.SIGKILL)


def killed_launcher(deployment):
    """A launcher that is killed while it runs an op, with a second op in line. Returns both runs."""
    launcher = deployment.worker(1)
    retried, waiting = deployment.launch("one_dies_once"), deployment.launch("one_waits")
    horse = deployment.noted("started-dies_once-1")
    family = [horse, *(worker.pid for worker in Worker.objects.all())]
    launcher.kill()
    wait_for(lambda: not any(map(is_there, family)), "workers outlive their launcher", AT_ONCE)
    assert state_of(retried) == "running"
    deployment.go()
    return retried, waiting


def test_a_killed_launcher_takes_all_with_it_and_the_next_one_here_takes_over_at_once(deployment):
    retried, waiting = killed_launcher(deployment)
    deployment.worker(1)
    for run in (retried, waiting):
        ends(run, "success", 2 * AT_ONCE)
    assert the_op(retried).attempt == 2
    assert Gate.objects.get(key="workers:default").limit == Worker.objects.count() == 1


def test_the_ops_of_a_lost_host_recover_after_a_lease_and_not_before(deployment, settings):
    killed = time.monotonic()
    retried, waiting = killed_launcher(deployment)
    Worker.objects.update(place="another machine")  # whose processes nobody here can see
    deployment.worker(1)
    clock = recover.Clock()
    while not retried.over:
        clock.one_pass()
        retried.refresh_from_db()
        assert seconds_since(killed) < settings.LEASE_SECONDS + 30
        time.sleep(0.2)
    assert retried.state == "success"
    assert the_op(retried).attempt == 2
    assert seconds_since(killed) > settings.LEASE_SECONDS * 2 / 3  # a lease is renewed each third of it
    ends(waiting, "success")
    wait_for(lambda: clock.one_pass() and Worker.objects.count() == 1, "dead workers are counted", PATIENCE)
    assert Gate.objects.get(key="workers:default").limit == 1


# --- stopping ---------------------------------------------------------------------------------------


def test_a_launcher_that_is_stopped_gives_running_ops_back_and_uses_no_attempt(deployment):
    first = deployment.worker(2, grace=0.0)
    sleeping, waiting = deployment.launch("one_sleeps"), deployment.launch("one_swallows")
    horses = [deployment.noted("started-sleeps-1"), deployment.noted("started-swallows-1")]
    asked = time.monotonic()
    assert first.terminate() == 0, first.output
    assert seconds_since(asked) < 4.0 + AT_ONCE
    deployment.noted("cleaned-sleeps-1", 1)
    for run in (sleeping, waiting):
        run.refresh_from_db()
        op_row = the_op(run)
        assert (run.state, op_row.state, op_row.attempt, op_row.token) == ("started", "ready", 0, None)
    assert not any(map(is_there, horses))
    assert not first.family()
    assert not Worker.objects.exists()
    assert Gate.objects.get(key="workers:default").limit == 0
    assert in_use("pool:shared") == 0
    check_engine()

    (deployment.folder / "started-sleeps-1").unlink()
    deployment.worker(2)
    deployment.noted("started-sleeps-1")
    assert the_op(sleeping).attempt == 1


def test_with_grace_running_ops_may_end(deployment):
    launcher = deployment.worker(2, grace=60.0)
    run = deployment.launch("one_waits")
    deployment.noted("started-waits-1")
    launcher.process.terminate()
    wait_for(lambda: Worker.objects.count() == 1, "the idle worker is not counted out", AT_ONCE)
    next_in_line = deployment.launch("one_op")
    assert (state_of(run), state_of(next_in_line)) == ("running", "ready")
    deployment.go()
    ends(run, "success")
    assert launcher.wait(PATIENCE) == 0
    assert not Worker.objects.exists()
    assert Gate.objects.get(key="workers:default").limit == 0
    assert (state_of(next_in_line), the_op(next_in_line).attempt) == ("ready", 0)  # nobody took it


def test_a_launcher_that_stops_with_grace_leaves_the_workers_of_others_their_work(deployment):
    stopping = deployment.worker(1, grace=60.0)
    run = deployment.launch("one_waits")
    deployment.noted("started-waits-1")
    deployment.worker(1)
    stopping.process.terminate()
    for next_in_line in [deployment.launch("one_op") for _ in range(3)]:
        ends(next_in_line, "success", 2 * AT_ONCE)
    assert state_of(run) == "running"
    deployment.go()
    ends(run, "success")
    assert stopping.wait(PATIENCE) == 0
    assert Gate.objects.get(key="workers:default").limit == Worker.objects.count() == 1


# --- cancel -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sleeps", "swallows"])
def test_cancel_interrupts_a_running_op(deployment, name):
    deployment.worker(1)
    run, after = deployment.launch(f"one_{name}"), deployment.launch("one_op")
    horse = deployment.noted(f"started-{name}-1")
    assert transitions.cancel_run(run.pk, "ada")
    ends(run, "canceled", AT_ONCE)
    assert state_of(run) == "canceled"
    if name == "sleeps":
        deployment.noted("cleaned-sleeps-1", 1)
    ends(after, "success")
    assert not is_there(horse)


def test_what_a_canceled_op_started_is_gone_when_its_slots_are_free(deployment):
    pool("shared", 1)
    deployment.worker(1)
    run = deployment.launch("one_has_a_child")
    deployment.noted("started-has_a_child-1")
    child = int((deployment.folder / "child").read_text())
    transitions.cancel_run(run.pk, "ada")
    ends(run, "canceled", AT_ONCE)
    assert not is_there(child)
    assert in_use("pool:shared") == 0


def test_cancel_kills_what_can_not_be_interrupted_after_the_grace(deployment, settings):
    deployment.worker(1)
    run = deployment.launch("one_stubborn")
    horse = deployment.noted("started-stubborn-1")
    transitions.cancel_run(run.pk, "ada")
    ends(run, "canceled", settings.CANCEL_GRACE_SECONDS + 2 * AT_ONCE)
    assert the_op(run).error == "killed: it did not stop when it was canceled"
    wait_for(lambda: not is_there(horse), "it lives on", AT_ONCE)
    ends(deployment.launch("one_op"), "success")


# --- Redis ------------------------------------------------------------------------------------------


def test_redis_emptied_loses_no_op_and_runs_none_twice(deployment):
    deployment.worker(1)
    deployment.clock()
    running = deployment.launch("one_waits")
    deployment.noted("started-waits-1")
    waiting = [deployment.launch("one_op") for _ in range(3)]
    django_rq.get_connection("default").flushall()
    deployment.go()
    for run in (running, *waiting):
        ends(run, "success")
    assert set(Op.objects.values_list("attempt", flat=True)) == {1}
    assert in_state(states.ADMITTED) == []


def test_a_ticket_lost_on_its_way_is_issued_again(deployment):
    """Redis is emptied just after a worker was told of a ticket, before it has read it."""
    deployment.worker(1)
    (worker,) = Worker.objects.all()
    os.kill(worker.pid, signal.SIGSTOP)
    run = deployment.launch("one_op")
    admitted = the_op(run)
    assert admitted.state == "admitted"
    django_rq.get_connection("default").flushall()
    os.kill(worker.pid, signal.SIGCONT)
    deployment.clock()
    ends(run, "success")
    assert the_op(run).token == admitted.token
    assert the_op(run).attempt == 1


def test_a_late_word_to_interrupt_an_op_does_not_hit_the_next_one(deployment):
    """The command travels through Redis: the op that it names may have ended, and another may run in its place."""
    deployment.worker(1)
    run = deployment.launch("one_waits")
    deployment.noted("started-waits-1")
    op_row = the_op(run)
    (worker,) = Worker.objects.all()
    redis = django_rq.get_connection("default")
    for command in ({"command": "interrupt", "op": op_row.pk - 1}, {"command": "shutdown"}):
        assert redis.publish(f"rq:pubsub:{worker.name}", json.dumps(command)) == 1
    # Commands are obeyed in order: once the second is, so was the first.
    wait_for(lambda: redis.hget(f"rq:worker:{worker.name}", "shutdown_requested_date"), "the worker heard nothing")
    deployment.go()
    ends(run, "success")
    assert (the_op(run).attempt, the_op(run).token) == (1, op_row.token)
    assert not LogLine.objects.filter(text__contains="interrupted").exists()
