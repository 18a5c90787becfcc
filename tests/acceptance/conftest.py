"""Everything is real: the database, Redis, and the workers, as somebody would start them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import django_rq
import pytest
from rq import Queue
from rq import Worker as RQWorker

from runs import states
from runs.models import Run
from tests.concurrency.deployments import Process
from tests.invariants import check_engine
from tests.servers import wait_for

Workers = Callable[..., Process]


@pytest.fixture
def workers(engine, database_url: str) -> Iterator[Workers]:
    """Start `manage.py worker --count …` on the test's database; returns when all its workers wait for work.

    They load the module named, and see the environment given. Afterwards they are gone, and the engine is
    as it must be.
    """
    started: list[Process] = []

    def start(count: int, module: str, **environment: str) -> Process:
        process = Process(
            "worker",
            *("--count", str(count), "--grace", "0"),
            database_url=database_url,
            env={"CONTROLPLANE_MODULES": module, **environment},
        )
        started.append(process)
        wait_for(lambda: process.process.poll() is not None or _idle() == count, "the workers did not start", 60)
        assert process.process.poll() is None, process.process.communicate()[0]
        return process

    yield start
    for process in started:
        process.close()
    check_engine()


def _idle() -> int:
    queue = Queue("default", connection=django_rq.get_connection("default"))
    return sum(worker.get_state() == "idle" for worker in RQWorker.all(queue=queue))


def wait_until_over(runs: list[Run], seconds: float = 80) -> None:
    """Wait for the end of these runs, whatever it is; what they know of themselves is read again."""
    unfinished = Run.objects.filter(pk__in=[run.pk for run in runs]).exclude(state__in=states.RUN_TERMINAL)
    wait_for(lambda: not unfinished.exists(), f"{len(runs)} runs did not end", seconds)
    for run in runs:
        run.refresh_from_db()
