"""An op whose lease is not renewed is stopped; one that has just ended by itself is left to finish in peace."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest

from runs import recover, transitions
from runs.heartbeat import Child, Heartbeat
from runs.launcher import Launcher
from runs.models import Op, Worker
from runs.verdict import Verdict
from runs.worker import Slate
from tests.builders import admitted_op, end, lapse

pytestmark = pytest.mark.django_db(transaction=True)


class OneProcess(Launcher):
    """A launcher with one worker: this process, whose child runs the op."""

    def __init__(self, worker: Worker) -> None:
        super().__init__({}, grace=0.0)
        self.id = worker.launcher
        self.children[os.getpid()] = Child(os.getpid(), worker.pk, worker.queue, 0.0, Slate())
        self.before_renewal: Callable[[], object] = lambda: None
        self.ops = Watched(self)


class Watched(Heartbeat):
    """Something may happen between the look at a process and the renewal of its lease."""

    def __init__(self, launcher: OneProcess) -> None:
        super().__init__(launcher.children, launcher._patiently, launcher._rejoin)
        self._launcher = launcher

    def _is_alive(self, op: Op) -> bool:
        alive = super()._is_alive(op)
        self._launcher.before_renewal()
        return alive


@pytest.fixture
def process() -> Iterator[int]:
    """A process that leads a group of its own, as an op's does."""
    pid = os.fork()
    if pid == 0:
        os.setpgrp()
        signal.pause()
        os._exit(0)
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


@pytest.fixture
def running(engine, process: int) -> tuple[OneProcess, Op]:
    op = admitted_op()
    worker = Worker.objects.get()
    assert transitions.start(op.pk, op.token or 0, worker.pk, process)
    op.refresh_from_db()
    return OneProcess(worker), op


def is_there(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_an_op_that_ends_while_leases_are_renewed_is_not_killed(running: tuple[OneProcess, Op], process: int) -> None:
    """It was read as running and has no lease a moment later: its process still has its ticket to see to."""
    launcher, op = running
    launcher.before_renewal = lambda: transitions.complete(op.pk, op.token or 0, Verdict.success())
    launcher.ops.beat()
    assert is_there(process)


def test_an_op_that_was_fenced_is_killed_when_it_has_not_ended_by_itself(
    running: tuple[OneProcess, Op], process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher, op = running
    launcher.before_renewal = lambda: transitions.op_died(op.pk, op.token or 0, "its lease ran out")
    monkeypatch.setattr("runs.heartbeat.URGENT", 0.0)
    launcher.ops.beat()
    launcher.before_renewal = lambda: None
    launcher.ops.beat()
    assert not is_there(process)


def test_an_op_whose_lease_ran_out_between_two_beats_is_killed(
    running: tuple[OneProcess, Op], process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was first, and the op is tried again elsewhere, perhaps: two attempts at once would be one too many."""
    launcher, op = running
    monkeypatch.setattr("runs.heartbeat.URGENT", 0.0)
    launcher.ops.beat()
    lapse(op)
    assert recover.expire_leases() == 1
    launcher.ops.beat()
    launcher.ops.beat()
    assert not is_there(process)


def test_an_op_that_ended_between_two_beats_is_left_to_finish_in_peace(
    running: tuple[OneProcess, Op], process: int
) -> None:
    launcher, op = running
    launcher.ops.beat()
    end(op)
    launcher.ops.beat()
    assert is_there(process)
