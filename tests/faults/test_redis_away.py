"""Redis dies, comes back empty, is silent or full: no op is lost or done twice, and work resumes soon after."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import django_rq
import pytest

from pools import sizing
from pools.models import Hold
from runs.models import Op, Run, Worker
from tests.builders import ADA
from tests.concurrency.deployments import Deployment, ends
from tests.faults.conftest import MARGIN
from tests.servers import Redis, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

RESUMES = 5.0  # seconds after its return
OUTAGE = 3.0  # seconds
LONG_OUTAGE = 10.0  # in which whatever grows with each failure has grown


def refuse(redis: Redis) -> None:
    django_rq.get_connection("default").config_set("maxmemory-policy", "noeviction")
    django_rq.get_connection("default").config_set("maxmemory", 1)


def accept(redis: Redis) -> None:
    django_rq.get_connection("default").config_set("maxmemory", 0)


def come_back_empty(redis: Redis) -> None:
    redis.forget()
    redis.start()


FAULTS: dict[str, tuple[Callable[[Redis], object], Callable[[Redis], object]]] = {
    "killed": (Redis.kill, Redis.start),
    "emptied": (Redis.kill, come_back_empty),
    "silent": (
        lambda redis: redis.process.send_signal(signal.SIGSTOP),
        lambda redis: redis.process.send_signal(signal.SIGCONT),
    ),
    "full": (refuse, accept),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_while_redis_is_away_and_work_resumes_when_it_is_back(
    deployment: Deployment, redis: Redis, fault: str
) -> None:
    break_it, mend_it = FAULTS[fault]
    deployment.worker(2)
    deployment.clock()
    running = deployment.launch("one_waits")
    deployment.noted("started-waits-1")
    break_it(redis)
    broken = time.monotonic()
    try:
        launched = [deployment.launch("one_op") for _ in range(3)]
        sizing.set_limit("shared", 5, ADA)
        assert time.monotonic() - broken < 10.0, "launches and edits wait for Redis"
        deployment.go()
        ends(running, "success")  # what runs needs no Redis to end
        wait_for(lambda: time.monotonic() - broken > OUTAGE, "the outage", 2 * OUTAGE)
    finally:
        mend_it(redis)
    back = time.monotonic()
    last = deployment.launch("one_op")
    for run in [*launched, last]:
        ends(run, "success")
    assert time.monotonic() - back < RESUMES + MARGIN
    assert set(Op.objects.values_list("state", "attempt")) == {("success", 1)}
    assert Run.objects.count() == 5
    assert not Hold.objects.exists()
    wait_for(lambda: Worker.objects.filter(pid__isnull=False).count() == 2, "workers are missing", RESUMES)


def test_workers_that_died_while_redis_was_away_are_replaced_when_it_is_back(
    deployment: Deployment, redis: Redis
) -> None:
    """They can't be born without it: that they die young then is no reason to wait longer and longer."""
    deployment.worker(2)
    redis.kill()
    broken = time.monotonic()
    for worker in Worker.objects.all():
        os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: time.monotonic() - broken > LONG_OUTAGE, "the outage", 2 * LONG_OUTAGE)
    redis.start()
    back = time.monotonic()
    run = deployment.launch("one_op")
    ends(run, "success")
    assert time.monotonic() - back < RESUMES + MARGIN
    wait_for(lambda: Worker.objects.filter(pid__isnull=False).count() == 2, "workers are missing", 1.0)
