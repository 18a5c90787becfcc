"""The rival: bare RQ, its forking worker, no Django, no limits. What a user has without us.

`python -m tests.bench.bare URL` is one of its workers; the rest is called by whoever measures.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis
from rq import Queue, RateLimit, Worker

from tests import servers
from tests.bench import trace

QUEUE = "bare"


@contextmanager
def workers(url: str, count: int, environment: dict[str, str]) -> Iterator[list[int]]:
    """Workers of the rival, idle and ready. Yields their pids."""
    command = [sys.executable, "-m", "tests.bench.bare", url]
    processes = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        wait_until_idle(url, QUEUE, count)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def enqueue(url: str, job: Callable[[str], None], names: list[str]) -> None:
    """Enqueue a job for each name, all in one round trip, so that the workers start on a full queue."""
    connection = redis.Redis.from_url(url)
    Queue(QUEUE, connection=connection).enqueue_many(
        [Queue.prepare_data(job, args=(name,), job_id=name, result_ttl=0) for name in names]
    )


def enqueue_limited(url: str, job: str, count: int, limit: RateLimit) -> None:
    """Enqueue so many jobs of this name in `trace` under a limit of RQ's own: one by one, as it can't do otherwise."""
    queue = Queue(QUEUE, connection=redis.Redis.from_url(url))
    for number in range(count):
        name = f"limited-{number}"
        queue.enqueue_call(getattr(trace, job), args=(name,), job_id=name, result_ttl=0, rate_limit=limit)


def enqueue_one(url: str, name: str) -> float:
    """Enqueue one no-op. Returns when that was asked for."""
    queue = Queue(QUEUE, connection=redis.Redis.from_url(url))
    asked = time.time()
    queue.enqueue_call(trace.nothing, args=(name,), job_id=name, result_ttl=0)
    return asked


def wait_until_idle(url: str, queue: str, count: int) -> None:
    """Wait until so many RQ workers of a queue have nothing to do."""
    connection = redis.Redis.from_url(url)

    def idle() -> bool:
        found = Worker.all(queue=Queue(queue, connection=connection))
        return len([worker for worker in found if worker.get_state() == "idle"]) >= count

    servers.wait_for(idle, f"{count} workers of queue {queue} are not idle", seconds=30)


def _work(url: str) -> None:
    logging.getLogger("rq").setLevel(logging.WARNING)
    connection = redis.Redis.from_url(url)
    Worker([Queue(QUEUE, connection=connection)], connection=connection).work(logging_level="WARNING")


if __name__ == "__main__":
    _work(sys.argv[1])
