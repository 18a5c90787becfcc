"""Starts the workers of a host, watches them, and renews the leases of the ops whose processes it sees alive.

An op may hold the interpreter for a minute, so its own process can't be asked whether it lives. The
launcher sees it from outside: as long as the process is there and is a child of one of its workers, the
lease is renewed. It forks the workers, so it learns of a death at once.
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
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import TypeVar

from django.conf import settings
from django.db import connections

from pools import claims
from pools.claims import Grant
from runs import catalog, interrupts, patience, processes, states, transitions, worker, workforce
from runs.models import Op
from runs.parentage import die_with, here
from runs.signals import WakeUps

log = logging.getLogger(__name__)

T = TypeVar("T")

URGENT = 1.0  # seconds between beats while an op is to be interrupted
LAST_WORDS = 2.0  # seconds that interrupted ops have to go back in line, when the launcher stops
QUICK_DEATH = 10.0  # a worker that lived for less seconds is replaced after a pause
LONGEST_PAUSE = 30.0


@dataclass
class Child:
    """A worker process of ours."""

    pid: int
    worker_id: int
    queue: str
    born: float


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
        self._pause = 0.5
        self._stop_asked = 0
        self._urgent = False
        self._renewed_at = 0.0
        self._alive: dict[Grant, Op] = {}  # the ops whose leases were renewed the last time
        self._fenced: list[tuple[float, Op]] = []  # (when, op) to stop what still runs under a lost lease

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
                beat_at = time.monotonic() + (URGENT if self._urgent else settings.LEASE_SECONDS / 3)
            self._shut_down()

    def _look_after_all(self) -> None:
        """See to the living first: what follows waits for the admission lock, for longer than a lease perhaps."""
        self._dead += self._deaths()
        self._patiently(self._beat)
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
        launcher = os.getpid()
        pid = os.fork()
        if pid:
            self.children[pid] = Child(pid, worker_id, queue, time.monotonic())
            workforce.note_pid(worker_id, pid)
            return
        try:
            os.setpgid(0, 0)  # a Ctrl-C in the terminal is ours to pass on
            self._wake_ups.forget()
            die_with(launcher)
            worker.work(name, queue, worker_id)
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
        self._renew_if_due()
        self._bury([child.worker_id], f"lost its worker ({how})")
        self._dead.remove((child, how))
        if not self._stop_asked:
            log.warning("worker %s ended (%s); another takes its place", child.pid, how)
            self._vacancies.append((time.monotonic() + self._next_pause(child), child.queue))

    def _bury(self, worker_ids: list[int], reason: str) -> None:
        """Count dead workers out, then fail what they ran: the gate narrows before the slots are free."""
        workforce.dismiss(worker_ids)
        for op in Op.objects.filter(state=states.RUNNING, worker_id__in=worker_ids):
            self._fail(op, reason)

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
                how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
                found.append((child, how))
        return found

    def _next_pause(self, child: Child) -> float:
        """At once for a worker that has lived; ever later for workers that die young."""
        if time.monotonic() - child.born > QUICK_DEATH:
            self._pause = 0.5
            return 0.0
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause

    def _fill_vacancies(self) -> None:
        now = time.monotonic()
        for when, queue in [vacancy for vacancy in self._vacancies if vacancy[0] <= now]:
            self._vacancies.remove((when, queue))
            self._vacancies.append(again := (now + URGENT, queue))  # the database may be away just now
            self._renew_if_due()
            (row,) = workforce.enlist(self.id, self.host, queue, place=self.place)
            self._vacancies.remove(again)
            self._fork(row.pk, row.name, row.queue)

    # --- the beat -------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Renew the leases of what is alive; then interrupt what was canceled, and fail what has died."""
        dead = self._renew()
        now = claims.clock_time()
        self._urgent = bool(self._fenced)
        for op in self._alive.values():
            if op.run.state == states.CANCELING:
                self._urgent = True
                asked = op.run.cancel_requested_at or now
                if now - asked > timedelta(seconds=settings.CANCEL_GRACE_SECONDS):
                    self._kill(op)
                    self._fail(op, "killed: it did not stop when it was canceled")
                else:
                    self._interrupt(op)
        for op in dead:
            self._fail(op, "its process died")

    def _renew(self) -> list[Op]:
        """Renew the leases of our workers and of their ops whose processes live. Takes no lock. Returns the dead ops.

        An op that lives and is not renewed is fenced, and so is one that was renewed the last time and does not run
        under its token any more: its lease ran out in between, and it may be running elsewhere by now. What still
        lives a while after it was fenced is stopped.
        """
        self._renewed_at = time.monotonic()
        ours = [child.worker_id for child in self.children.values()]
        if workforce.renew(ours) < len(ours) and not self._stop_asked:
            self._rejoin()
        running = self._running()
        living = [op for op in running if self._is_alive(op)]
        renewed = claims.renew([_grant(op) for op in living], settings.LEASE_SECONDS)
        before, self._alive = self._alive, {_grant(op): op for op in living if transitions.op_holder(op.pk) in renewed}
        self._stop_fenced({op.pid for op in running})
        known = {_grant(op) for op in running}
        lost = [op for op in living if _grant(op) not in self._alive]
        lost += [op for grant, op in before.items() if grant not in known and self._is_alive(op)]
        self._fenced += [(time.monotonic() + URGENT, op) for op in lost]
        return [op for op in running if op not in living]

    def _renew_if_due(self) -> None:
        """Called before anything that may wait for the admission lock, once for each wait."""
        if time.monotonic() - self._renewed_at >= settings.LEASE_SECONDS / 3:
            self._renew()

    def _fail(self, op: Op, reason: str) -> None:
        """Fail an op whose process is gone, once what that one started is gone too: its slots are about to be free.

        If it can't be done now, whatever comes after it is done all the same.
        """
        self._patiently(self._renew_if_due)
        if op.pid:
            processes.kill_group_left_by(op.pid)
        self._patiently(lambda: transitions.op_died(op.pk, op.token or 0, reason))

    def _running(self) -> list[Op]:
        ids = [child.worker_id for child in self.children.values()]
        return list(Op.objects.filter(state=states.RUNNING, worker_id__in=ids).select_related("run"))

    def _is_alive(self, op: Op) -> bool:
        """Whether the op's process is there, and is a child of the worker that took it."""
        parents = {child.worker_id: pid for pid, child in self.children.items()}
        return processes.is_child(op.pid, parents.get(op.worker_id or 0))

    def _stop_fenced(self, busy: set[int | None]) -> None:
        """Kill what still runs a while after its lease was not renewed, unless its process runs another op now.

        Not at once: most of them had just ended by themselves when their leases were to be renewed, and
        their processes are about to be gone.
        """
        due = [op for when, op in self._fenced if when <= time.monotonic()]
        self._fenced = [(when, op) for when, op in self._fenced if when > time.monotonic()]
        for op in due:
            if op.pid not in busy and self._is_alive(op):
                log.warning("op %s: its lease was not renewed, it is stopped", op.pk)
                self._kill(op)

    def _interrupt(self, op: Op) -> None:
        if self._is_alive(op):
            processes.send(op.pid, interrupts.SIGNAL)

    def _kill(self, op: Op) -> None:
        """Kill the op's process and whatever it started: it leads a process group of its own."""
        if self._is_alive(op) and op.pid:
            processes.kill_group(op.pid)
            processes.wait_until(lambda: not self._is_alive(op), processes.GOING)

    def _rejoin(self) -> None:
        """Our workers were counted out, while the machine slept perhaps: end them and begin anew."""
        log.warning("this host's workers were counted as gone; they are started anew")
        self._send_all(signal.SIGKILL)

    # --- stopping -------------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        """Take no new op; let running ones end for the grace; then put them back in line, unharmed.

        1. Idle workers are counted out, so that nobody sends them ops. Busy ones only when they end: their ops have
           slots at the gate of their queue, which would be missing to the workers of other launchers.
        2. RQ's own warm shutdown: idle workers end, busy ones after their op; none takes another.
        3. After the grace all are counted out. Running ops are interrupted and return to their place, no attempt used.
        4. What does not react is killed, and is put back by us.
        """
        workers = [child.worker_id for child in self.children.values()]
        self._patiently(lambda: workforce.dismiss(self._idle() if self.grace else workers))
        self._send_all(signal.SIGTERM)
        self._let_end()
        self._patiently(lambda: workforce.dismiss(workers))
        last = time.monotonic() + LAST_WORDS
        while self.children and time.monotonic() < last:
            for op in self._patiently(self._running) or []:
                self._interrupt(op)
            self._wake_ups.wait(0.3)
            self._deaths()
        for op in self._patiently(self._running) or []:
            self._kill(op)
        self._send_all(signal.SIGKILL)
        processes.wait_until(self._all_gone, processes.GOING)
        left = Op.objects.filter(state=states.RUNNING, worker_id__in=workers)
        for op in self._patiently(lambda: list(left)) or []:
            if op.pid:
                processes.kill_group_left_by(op.pid)
            self._patiently(partial(transitions.give_back, op.pk, op.token or 0))

    def _let_end(self) -> None:
        """Wait until our workers have ended, for the grace, or until we are told to stop once more."""
        asked, deadline = self._stop_asked, time.monotonic() + self.grace
        beat_at = time.monotonic() + URGENT
        while self.children and time.monotonic() < deadline and self._stop_asked == asked:
            self._wake_ups.wait(0.2)
            self._patiently(self._reap)
            if time.monotonic() >= beat_at:
                self._patiently(self._beat)
                beat_at = time.monotonic() + settings.LEASE_SECONDS / 3

    def _idle(self) -> list[int]:
        busy = {op.worker_id for op in self._running()}
        return [child.worker_id for child in self.children.values() if child.worker_id not in busy]

    def _send_all(self, what: signal.Signals) -> None:
        for pid in self.children:
            processes.send(pid, what)

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
        self._urgent = True
        return None


def _grant(op: Op) -> Grant:
    return Grant(transitions.op_holder(op.pk), op.token or 0)
