"""Told to stop once more, or killed while it stops: a launcher leaves nobody waiting for the ops that run."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from pools.models import Hold
from runs import workforce
from runs.heartbeat import Child
from runs.launcher import Launcher
from runs.models import Worker
from runs.signals import WakeUps
from runs.worker import Slate
from tests.builders import state_of, the_op
from tests.concurrency.deployments import PATIENCE, ends
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True)]

AT_ONCE = 5.0  # seconds, with room for a busy machine: a lease lasts longer


def test_a_second_stop_ends_the_grace(deployment):
    launcher = deployment.worker(2, grace=3600.0)
    run = deployment.launch("one_sleeps")
    deployment.noted("started-sleeps-1")
    launcher.process.terminate()
    wait_for(lambda: Worker.objects.count() == 1, "the idle worker is not counted out", PATIENCE)
    launcher.process.terminate()
    assert launcher.wait(PATIENCE) == 0
    assert (state_of(run), the_op(run).attempt) == ("ready", 0)


def test_a_launcher_that_is_killed_while_it_stops_leaves_what_it_ran_to_be_found(deployment):
    """As a service manager does, whose patience ends before an op does: nobody is to wait for a lease."""
    launcher = deployment.worker(2)
    run = deployment.launch("one_stubborn")
    deployment.noted("started-stubborn-1")
    launcher.process.terminate()
    wait_for(lambda: Worker.objects.count() == 1, "the idle worker is not counted out", PATIENCE)
    launcher.kill()
    assert state_of(run) == "running"
    deployment.worker(1)
    ends(run, "failure", AT_ONCE)
    assert Worker.objects.count() == 1
    assert not Hold.objects.exists()


def test_a_second_stop_counts_while_the_first_takes_effect(engine, monkeypatch):
    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; exec sleep 3600"], stdout=subprocess.PIPE)
    deaf.stdout.readline()  # from now on it is
    launcher = Launcher({}, grace=3600.0)
    launcher.children[deaf.pid] = Child(deaf.pid, 0, "default", time.monotonic(), Slate())
    monkeypatch.setattr(workforce, "dismiss", lambda ids: launcher._on_stop(signal.SIGTERM, None))
    with WakeUps(signal.SIGCHLD) as launcher._wake_ups:
        began = time.monotonic()
        launcher._shut_down()
    assert time.monotonic() - began < PATIENCE
