"""The RQ worker that takes tickets, and what a ticket calls.

The worker process never touches the database: a connection that it opened would be shared by the
processes that it forks, and one would read the other's answers. Ops run in a process that it forks, one after
the other, which ends with the worker if the worker dies.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import threading
import time
from typing import Any

import redis
from django.conf import settings
from django.db import connections
from rq import Queue
from rq import Worker as RQWorker
from rq.command import parse_payload
from rq.job import Job
from rq.serializers import JSONSerializer

from pools import claims
from runs import execute, interrupts, processes, tickets
from runs.parentage import die_with
from runs.transitions import Attempt, Taker

HORSE_DIED = signal.SIGUSR2  # a worker tells its launcher that an op's process ended before its op did


class Slate:
    """A page of memory that a launcher shares with a worker, and the worker with the process that runs its ops."""

    _OP = struct.Struct("q")  # the op that the process runs; 0: none
    _DEATH = struct.Struct("qi")  # of the last process that ended before its op did: the op, the wait status

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 64)

    @property
    def op_id(self) -> int:
        """The op that the worker's process runs; 0: none."""
        return int(self._OP.unpack_from(self._page, 0)[0])

    @op_id.setter
    def op_id(self, op_id: int) -> None:
        self._OP.pack_into(self._page, 0, op_id)

    @property
    def stopping(self) -> bool:
        """Whether the worker takes no further op."""
        return bool(self._page[8])

    def stop(self) -> None:
        self._page[8] = 1

    def note_death(self, op_id: int, status: int) -> None:
        self._DEATH.pack_into(self._page, 16, op_id, status)

    def how_it_died(self, op_id: int) -> str:
        """How the process of this op ended; empty if that is not known."""
        noted, status = self._DEATH.unpack_from(self._page, 16)
        return processes.how_it_ended(status) if noted == op_id else ""


_worker_id: int | None = None  # this process's row, inherited by the processes that it forks
_queue = ""  # that it works on
_slate = Slate()


class Worker(RQWorker):
    """RQ's forking worker on one queue, with our interruption beside its own commands."""

    max_connection_wait_time = 2.0  # seconds between tries while Redis is away; RQ's own grow to a minute

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Note whose process it is: a word to interrupt an op may come when it has ended and the next one runs."""
        _slate.op_id = _op_of(job)
        super().fork_work_horse(job, queue)

    def request_stop(self, signum: int, frame: Any) -> None:
        """A process that is kept for further ops ends with the one that it runs."""
        _slate.stop()
        super().request_stop(signum, frame)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Runs in the forked process."""
        die_with(self.pid or os.getppid())
        interrupts.install()
        claims.plan_once()
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
        elif self.horse_pid and payload.get("op") == _slate.op_id:
            try:
                os.kill(self.horse_pid, interrupts.SIGNAL)
            except ProcessLookupError:
                pass  # it has just ended

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Tell the launcher to see to the op of a process that was killed, or that the op's own code ended."""
        ended = super().wait_for_horse()
        if op_id := _slate.op_id:
            _slate.note_death(op_id, ended[1] or 0)
            _slate.op_id = 0
            os.kill(os.getppid(), HORSE_DIED)
        return ended


def work(name: str, queue: str, worker_id: int, slate: Slate) -> None:
    """Be a worker until told to stop. Called in a new child of the launcher."""
    global _worker_id, _queue, _slate
    _worker_id, _queue, _slate = worker_id, queue, slate
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
    threading.Thread(target=_watch_launcher, args=(worker, os.getppid()), daemon=True).start()
    worker.work(logging_level="WARNING")


def _watch_launcher(worker: Worker, launcher: int) -> None:
    """End this worker, and its op's process, once our launcher has stood still for half a lease.

    It renews each third of it. So by now it has missed a turn, and the lease has not run out yet; when it does, the
    op may be started elsewhere, and nobody else here would know.
    """
    moves_at = time.monotonic()
    while time.monotonic() - moves_at < settings.LEASE_SECONDS / 2:
        time.sleep(settings.LEASE_SECONDS / 15)
        if not processes.stands_still(launcher):
            moves_at = time.monotonic()
    worker.log.warning("worker %s: the launcher stands still, and so this worker ends", worker.name)
    if worker.horse_pid:
        processes.kill_group(worker.horse_pid)
    os._exit(1)


def perform(op_id: int, token: int) -> None:
    """What a ticket calls, in a process of its own: run the op that was admitted under this token.

    When it succeeds, an op that is admitted in its place starts with it and is run by the same process, without a trip
    through Redis and a new fork, as long as the budget of a kept process lasts.
    """
    budget = Budget()
    try:
        _take_up(op_id)
        started = execute.start(op_id, token, _worker_id)
        while started is not None:
            started = execute.attempt(started, processes.end_what_we_started, budget.taker).following
            if started is not None:
                _take_up(started.op_id)
        _slate.op_id = 0
    finally:
        connections.close_all()


def _take_up(op_id: int) -> None:
    """This process is an op's now. Before the slate says so, forget what was asked: it was about an earlier one."""
    interrupts.rearm()
    _slate.op_id = op_id


class Budget:
    """How long a process is kept for further ops."""

    def __init__(self) -> None:
        self._ops = 0
        self._until = time.monotonic() + settings.KEEP_PROCESS_SECONDS

    def taker(self, done: Attempt) -> Taker | None:
        """Asked when an op has succeeded: whether the process takes another one, and as whom."""
        self._ops += 1
        spent = self._ops >= settings.KEEP_PROCESS_OPS or time.monotonic() >= self._until
        alone = spent or done.plan.by_key[done.key].isolated
        ends = alone or _slate.stopping or interrupts.asked() or processes.has_children()
        return None if ends else Taker(_queue, _worker_id, os.getpid(), done)


def _op_of(job: Job) -> int:
    """The op that a ticket names; 0 for whatever else somebody has put on our queue."""
    try:
        return int(job.args[0]) if job.func_name == tickets.PERFORM else 0
    except Exception:  # it can't be read, or names nothing
        return 0
