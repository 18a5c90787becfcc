"""Starts the workers of a host and sees to it that they live: it forks them, so it learns of a death at once.

What their ops are doing is `heartbeat`'s to see.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import TypeVar

from django.conf import settings
from django.db import connections

from pools import claims
from runs import catalog, patience, processes, states, tickets, transitions, worker, workforce
from runs.heartbeat import URGENT, Child, Heartbeat
from runs.models import Op
from runs.parentage import die_with, here
from runs.signals import WakeUps
from runs.worker import Slate

log = logging.getLogger(__name__)

T = TypeVar("T")

LAST_WORDS = 2.0  # seconds that interrupted ops have to go back in line, when the launcher stops
QUICK_DEATH = 10.0  # a worker that lived for less seconds is replaced after a pause
SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


class Launcher:
    """The workers of one host."""

    def __init__(self, queues: Mapping[str, int], grace: float) -> None:
        """`queues`: how many workers for each queue. `grace`: seconds that running ops get when it stops."""
        self.queues = dict(queues)
        self.grace = grace
        self.id = uuid.uuid4().hex
        self.host = socket.gethostname()
        self.place = here()
        self.children: dict[int, Child] = {}
        self._dead: list[tuple[Child, str]] = []  # workers that have ended, and how, still to be counted out
        self._vacancies: list[tuple[float, str]] = []  # (when, queue) to start a worker
        self._pause = SHORTEST_PAUSE
        self._stop_asked = 0
        self.ops = Heartbeat(self.children, self._patiently, self._rejoin)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; returns when all workers are gone and nothing is left running."""
        catalog.current()  # before the fork: the workers inherit what was loaded
        with WakeUps(signal.SIGCHLD, worker.HORSE_DIED) as self._wake_ups:
            signal.signal(signal.SIGTERM, self._on_stop)
            signal.signal(signal.SIGINT, self._on_stop)
            self._bury_orphans()
            for queue, count in self.queues.items():
                for row in workforce.enlist(self.id, self.host, queue, count, self.place):
                    self._fork(row.pk, row.name, queue)
            beat_at = time.monotonic()
            while not self._stop_asked:
                self._wake_ups.wait(max(0.0, min([beat_at, *(when for when, _ in self._vacancies)]) - time.monotonic()))
                self._look_after_all()
                beat_at = self.ops.next_beat()
            self._shut_down()

    def _look_after_all(self) -> None:
        """See to the living first: what follows waits for the admission lock, for longer than a lease perhaps."""
        self._dead += self._deaths()
        self._patiently(self.ops.beat)
        self._patiently(self._reap)
        self._patiently(self._fill_vacancies)

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop_asked += 1

    def _bury_orphans(self) -> None:
        """A launcher that was killed here left rows behind: don't wait for their leases to run out."""
        left = workforce.orphans(self.place, self.id)
        if left:
            log.warning("%d workers of a launcher that died here are counted out", len(left))
            self._bury([worker.pk for worker in left], "lost its worker (its launcher died)")

    # --- births and deaths of workers -----------------------------------------------------------------

    def _fork(self, worker_id: int, name: str, queue: str) -> None:
        connections.close_all()  # a child must not share our connection
        launcher, slate = os.getpid(), Slate()
        pid = os.fork()
        if pid:
            self.children[pid] = Child(pid, worker_id, queue, time.monotonic(), slate)
            workforce.note_pid(worker_id, pid)
            return
        try:
            os.setpgid(0, 0)  # a Ctrl-C in the terminal is ours to pass on
            self._wake_ups.forget()
            die_with(launcher)
            worker.work(name, queue, worker_id, slate)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _reap(self) -> None:
        """Count dead workers out, fail what they ran, and note that there is a place to fill.

        A death is remembered until the database knows of it, which may be away just then.
        """
        self._dead += self._deaths()
        for child, how in list(self._dead):
            self._patiently(partial(self._count_out, child, how))

    def _count_out(self, child: Child, how: str) -> None:
        self.ops.renew_if_due()
        self._bury([child.worker_id], f"lost its worker ({how})")
        self._dead.remove((child, how))
        if not self._stop_asked:
            log.warning("worker %s ended (%s); another takes its place", child.pid, how)
            self._vacancies.append((time.monotonic() + self._next_pause(child), child.queue))

    def _bury(self, worker_ids: list[int], reason: str) -> None:
        """Count dead workers out, and fail what they ran once what that started is gone too."""
        for op in Op.objects.filter(state=states.RUNNING, worker_id__in=worker_ids):
            self.ops.end_leftovers(op)
        workforce.bury(worker_ids, reason)

    def _deaths(self) -> list[tuple[Child, str]]:
        """The workers that have ended since the last call, and how."""
        found = []
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            child = self.children.pop(pid, None)
            if child is not None:
                found.append((child, processes.how_it_ended(status)))
        return found

    def _next_pause(self, child: Child) -> float:
        """At once for a worker that has lived; ever later while all die young, unless Redis is the reason."""
        grown_before = time.monotonic() - QUICK_DEATH
        if child.born < grown_before or not tickets.answers():
            self._pause = SHORTEST_PAUSE
            return 0.0
        if any(other.born < grown_before for other in self.children.values()):
            self._pause = SHORTEST_PAUSE
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause

    def _fill_vacancies(self) -> None:
        """Start the workers whose time has come, once Redis answers: without it they would die at birth."""
        now = time.monotonic()
        due = [vacancy for vacancy in self._vacancies if vacancy[0] <= now]
        if due and not tickets.answers():
            self._vacancies = [(max(when, now + URGENT), queue) for when, queue in self._vacancies]
            return
        for when, queue in due:
            self._vacancies.remove((when, queue))
            self._vacancies.append(again := (now + URGENT, queue))  # the database may be away just now
            self.ops.renew_if_due()
            (row,) = workforce.enlist(self.id, self.host, queue, place=self.place)
            self._vacancies.remove(again)
            self._fork(row.pk, row.name, row.queue)

    # --- stopping -------------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        """Take no new op; let running ones end for the grace; then put them back in line, unharmed.

        1. Idle workers are counted out, so that nobody sends them ops. Busy ones only when their ops are put back or
           have ended: ops have slots at the gate of their queue, which would be missing to the workers of other
           launchers. And if we are killed before that, who starts here next finds both.
        2. RQ's own warm shutdown: idle workers end, busy ones after their op; none takes another.
        3. After the grace, running ops are interrupted and return to their place, no attempt used.
        4. What does not react is killed, and is put back by us.
        """
        asked = self._stop_asked  # once more from now on, and the grace is over
        workers = [child.worker_id for child in self.children.values()]
        self._patiently(lambda: workforce.dismiss(self._idle()))
        self._send_all(signal.SIGTERM)
        self._let_end(asked)
        last = time.monotonic() + LAST_WORDS
        while self.children and time.monotonic() < last:
            for op in self._patiently(self.ops.running) or []:
                self.ops.interrupt(op)
            self._wake_ups.wait(0.3)
            self._deaths()
        for op in self._patiently(self.ops.running) or []:
            self.ops.kill(op)
        self._send_all(signal.SIGKILL)
        processes.wait_until(self._all_gone, processes.GOING)
        left = Op.objects.filter(state=states.RUNNING, worker_id__in=workers)
        for op in self._patiently(lambda: list(left)) or []:
            if op.pid:
                processes.kill_group_left_by(op.pid)
            self._patiently(partial(transitions.give_back, op.pk, op.token or 0))
        self._patiently(lambda: workforce.dismiss(workers))

    def _let_end(self, asked: int) -> None:
        """Wait until our workers have ended, for the grace, or until we are told to stop more often than so."""
        deadline = time.monotonic() + self.grace
        beat_at = time.monotonic() + URGENT
        while self.children and time.monotonic() < deadline and self._stop_asked == asked:
            self._wake_ups.wait(0.2)
            self._patiently(self._reap)
            if time.monotonic() >= beat_at:
                self._patiently(self.ops.beat)
                beat_at = time.monotonic() + settings.LEASE_SECONDS / 3

    def _idle(self) -> list[int]:
        busy = {op.worker_id for op in self.ops.running()}
        return [child.worker_id for child in self.children.values() if child.worker_id not in busy]

    def _send_all(self, what: signal.Signals) -> None:
        for pid in self.children:
            processes.send(pid, what)

    def _rejoin(self) -> None:
        """Our workers were counted out, while the machine slept perhaps: end them and begin anew."""
        if not self._stop_asked:
            log.warning("this host's workers were counted as gone; they are started anew")
            self._send_all(signal.SIGKILL)

    def _all_gone(self) -> bool:
        self._deaths()
        return not self.children

    def _patiently(self, step: Callable[[], T]) -> T | None:
        """Do a step. If it fails, because the database is away or whatever else, say so: a beat soon tries again."""
        try:
            return step()
        except claims.AWAY as error:
            patience.did_not_answer(error)
        except Exception:
            log.exception("a step of the launcher failed")
            connections.close_all()
        self.ops.urgent = True
        return None
