"""The RQ worker that takes tickets, and what a ticket calls.

The worker process never touches the database: a connection that it opened would be shared by the
processes that it forks, and one would read the other's answers. Each op runs in a process of its own,
which ends with the worker if the worker dies.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
from typing import Any

import redis
from django.db import connections
from rq import Queue
from rq import Worker as RQWorker
from rq.command import parse_payload
from rq.job import Job
from rq.serializers import JSONSerializer

from runs import execute, interrupts, processes, tickets
from runs.parentage import die_with

HORSE_DIED = signal.SIGUSR2  # a worker tells its launcher that an op's process ended before its op did


class LastWords:
    """What a worker saw of the last op's process that ended before its op did. Shared with its launcher."""

    _LAYOUT = struct.Struct("qi")  # the op, the wait status

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, self._LAYOUT.size)

    def say(self, op_id: int, status: int) -> None:
        self._LAYOUT.pack_into(self._page, 0, op_id, status)

    def about(self, op_id: int) -> str:
        """How the process of this op ended; empty if the last words are about another one, or there are none."""
        said, status = self._LAYOUT.unpack_from(self._page)
        return processes.how_it_ended(status) if said == op_id else ""


_worker_id: int | None = None  # this process's row, inherited by the processes that it forks
_op_ended = mmap.mmap(
    -1, 1
)  # a byte that a worker shares with the processes that it forks; 1: the op was seen to its end


class Worker(RQWorker):
    """RQ's forking worker on one queue, with our interruption beside its own commands."""

    max_connection_wait_time = 2.0  # seconds between tries while Redis is away; RQ's own grow to a minute

    last_words: LastWords
    _op_id = 0  # the op that the horse runs

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Note whose process it is: a word to interrupt an op may come when it has ended and the next one runs."""
        self._op_id = _op_of(job)
        _op_ended[0] = 0
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Runs in the forked process."""
        die_with(self.pid or os.getppid())
        interrupts.install()
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """Runs every half a minute of an op. What Redis misses of it is nothing to end a worker for, and its op."""
        try:
            super().maintain_heartbeats(job, execution)
        except (redis.RedisError, OSError) as error:
            self.log.warning("worker %s: Redis did not answer (%s); the op goes on", self.name, error)

    def handle_payload(self, message: Any) -> None:
        """Runs in the thread that listens to this worker's channel."""
        payload = parse_payload(message)
        if payload.get("command") != tickets.INTERRUPT:
            super().handle_payload(message)
        elif self.horse_pid and payload.get("op") == self._op_id:
            try:
                os.kill(self.horse_pid, interrupts.SIGNAL)
            except ProcessLookupError:
                pass  # it has just ended

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Tell the launcher to see to the op of a process that was killed, or that the op's own code ended."""
        ended = super().wait_for_horse()
        if not _op_ended[0]:
            self.last_words.say(self._op_id, ended[1] or 0)
            os.kill(os.getppid(), HORSE_DIED)
        return ended


def work(name: str, queue: str, worker_id: int, last_words: LastWords) -> None:
    """Be a worker until told to stop. Called in a new child of the launcher."""
    global _worker_id, _op_ended
    _worker_id, _op_ended = worker_id, mmap.mmap(-1, 1)
    interrupts.ignore()
    connection = tickets.connect()
    tickets.connection()  # made before the forks, so that every op's process finds it
    worker = Worker(
        [Queue(queue, connection=connection, serializer=JSONSerializer)],
        name=name,
        connection=connection,
        serializer=JSONSerializer,
        log_job_description=False,
    )
    worker.log_result_lifespan = False
    worker.last_words = last_words
    worker.work(logging_level="WARNING")


def perform(op_id: int, token: int) -> None:
    """What a ticket calls, in a process of its own: run the op that was admitted under this token."""
    try:
        execute.attempt(op_id, token, _worker_id, clear=processes.end_what_we_started)
        _op_ended[0] = 1
    finally:
        connections.close_all()


def _op_of(job: Job) -> int:
    """The op that a ticket names; 0 for whatever else somebody has put on our queue."""
    try:
        return int(job.args[0]) if job.func_name == tickets.PERFORM else 0
    except Exception:  # it can't be read, or names nothing
        return 0
