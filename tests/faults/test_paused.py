"""Processes that stand still for longer than a lease, and go on: what they say then is refused, and they are ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable

import psutil
import pytest

from pools.models import Hold
from runs.models import LogLine, OpEvent, OpOutput, Run, Worker
from tests.builders import state_of, the_op
from tests.concurrency.deployments import PATIENCE, Deployment, ends, is_there
from tests.faults.conftest import LEASE, MARGIN
from tests.servers import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 1.0  # seconds that a fenced process may still do something


def pause(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        process.send_signal(signal.SIGSTOP)


def go_on(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        if process.is_running():
            process.send_signal(signal.SIGCONT)


def paused_host(deployment: Deployment, job: str) -> list[psutil.Process]:
    """A launcher, its worker and the worker's op, all at a standstill; beside them another launcher, and a clock."""
    launcher = deployment.worker(1)
    deployment.launch(f"one_{job}")
    deployment.noted(f"started-{job}-1")
    host = [psutil.Process(launcher.pid), *psutil.Process(launcher.pid).children(recursive=True)]
    pause(host)
    deployment.worker(1)
    deployment.clock()
    return host


def test_what_a_paused_host_says_late_is_refused(deployment: Deployment) -> None:
    host = paused_host(deployment, "reports")
    deployment.noted("started-reports-2", PATIENCE)
    deployment.go()
    run = ends(the_run(), "success")
    horse = host[-1]
    go_on(host)
    wait_for(lambda: not is_there(horse.pid), "the late process stays", SOON + MARGIN)
    assert {line.text for line in LogLine.objects.filter(run=run)} == {
        "logged by attempt 2",
        "printed by attempt 2",
    }
    assert str(the_op(run).token) in OpOutput.objects.get(op__run=run).body
    assert (state_of(run), the_op(run).attempt) == ("success", 2)
    assert OpEvent.objects.filter(op__run=run, attempt=1).exists()
    wait_for(lambda: Worker.objects.filter(pid__isnull=False).count() == 2, "the host does not come back", PATIENCE)
    assert not Hold.objects.exists()


def test_an_op_of_a_paused_host_that_does_not_end_is_stopped(deployment: Deployment) -> None:
    """How long two attempts may be at work at once: from the end of the pause until the launcher's next looks."""
    host = paused_host(deployment, "waits")
    deployment.noted("started-waits-2", PATIENCE)
    horse = host[-1]
    went_on = time.monotonic()
    go_on(host)
    wait_for(lambda: not is_there(horse.pid), "two attempts are at work", PATIENCE)
    overlap = time.monotonic() - went_on
    assert overlap < SOON + MARGIN
    deployment.go()
    assert the_op(ends(the_run(), "success")).attempt == 2


def test_an_op_whose_launcher_is_paused_is_stopped_when_its_lease_is_over(deployment: Deployment) -> None:
    """Nobody renews its lease, and nobody tells it that it is fenced but its worker."""
    launcher = deployment.worker(1)
    run = deployment.launch("one_waits")
    horse = deployment.noted("started-waits-1")
    pause([psutil.Process(launcher.pid)])
    deployment.worker(1)
    deployment.clock()
    deployment.noted("started-waits-2", PATIENCE)
    assert not is_there(horse), "two attempts are at work"
    go_on([psutil.Process(launcher.pid)])
    deployment.go()
    assert the_op(ends(run, "success")).attempt == 2
    wait_for(lambda: Worker.objects.filter(pid__isnull=False).count() == 2, "the host does not come back", PATIENCE)


@pytest.mark.parametrize("who", ["op", "worker"])
def test_an_op_that_is_paused_alone_or_whose_worker_is_goes_on(deployment: Deployment, who: str) -> None:
    """Its launcher sees it alive, and renews its lease."""
    deployment.worker(1)
    deployment.clock()
    run = deployment.launch("one_waits")
    horse = deployment.noted("started-waits-1")
    victim = psutil.Process({"op": horse, "worker": the_op(run).worker.pid}[who])
    pause([victim])
    stopped = time.monotonic()
    wait_for(lambda: time.monotonic() - stopped > 2 * LEASE, "the pause", 3 * LEASE)
    assert (state_of(run), the_op(run).attempt) == ("running", 1)
    deployment.go()
    go_on([victim])
    assert the_op(ends(run, "success")).attempt == 1
    ends(deployment.launch("one_op"), "success")


def the_run() -> Run:
    return Run.objects.get()
