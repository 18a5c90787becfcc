"""A host that is gone, with all that ran there: its op is back within the lease and a second."""

from __future__ import annotations

import os
import signal
import time

import pytest
from django.conf import settings

from pools.models import Gate
from runs.models import OpEvent, Worker
from tests.builders import in_use, state_of, the_op
from tests.concurrency.deployments import PATIENCE, Deployment, ends, is_there
from tests.faults.conftest import LEASE, MARGIN
from tests.servers import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_op_whose_host_is_lost_is_back_within_the_lease_and_a_second(deployment: Deployment) -> None:
    deployment.clock()
    up = time.monotonic()
    lost = deployment.worker(1)
    run = deployment.launch("one_waits")
    deployment.noted("started-waits-1")
    Worker.objects.update(place="another machine")  # nobody here can see its processes
    deployment.worker(1)
    wait_for(lambda: time.monotonic() - up > LEASE + MARGIN, "the clock", 2 * LEASE + MARGIN)  # it trusts leases now
    family = lost.family()
    killed = time.monotonic()
    lost.kill()
    for process in family:
        process.kill()
    deployment.noted("started-waits-2", PATIENCE)
    took = time.monotonic() - killed
    assert LEASE * 2 / 3 - 0.1 < took < LEASE + 1.0 + MARGIN
    assert not any(is_there(process.pid) for process in family)
    wait_for(lambda: Worker.objects.count() == 1, "a dead worker is counted", PATIENCE)
    assert Gate.objects.get(key="workers:default").limit == 1
    deployment.go()
    ends(run, "success")
    assert (state_of(run), the_op(run).attempt, the_op(run).crashes) == ("success", 2, 1)
    assert OpEvent.objects.get(op__run=run, attempt=1).text == "lost its worker: the lease ran out"
    assert in_use("pool:shared") == 0


def test_a_worker_that_is_killed_together_with_its_op_is_noticed_at_once(deployment: Deployment) -> None:
    """Its launcher lives: nobody waits for a lease."""
    deployment.worker(1)
    run = deployment.launch("one_waits")
    horse = deployment.noted("started-waits-1")
    killed = time.monotonic()
    for pid in (the_op(run).worker.pid, horse):
        os.kill(pid, signal.SIGKILL)
    deployment.noted("started-waits-2", PATIENCE)
    assert time.monotonic() - killed < 1.0 + MARGIN
    deployment.go()
    assert the_op(ends(run, "success")).crashes == settings.CRASH_RETRIES
