"""Renews the leases of the ops whose processes live on this host, and ends those that are to end.

An op may hold the interpreter for a minute, so its own process can't be asked whether it lives. It is seen from
outside: as long as the process is there and is a child of one of our workers, the lease is renewed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings

from pools import claims
from pools.claims import Grant
from runs import interrupts, plans, processes, states, transitions, workforce
from runs.models import Op
from runs.verdict import CRASHED, TIMED_OUT
from runs.worker import Slate

log = logging.getLogger(__name__)

URGENT = 1.0  # seconds between beats while an op is to be interrupted


@dataclass
class Child:
    """A worker process of ours."""

    pid: int
    worker_id: int
    queue: str
    born: float
    slate: Slate


class Heartbeat:
    """The ops that run on the workers of a host, by their pids in `children`.

    `patiently` does a step that may fail while the database is away; `rejoin` is called when the workers are not
    counted as alive any more.
    """

    def __init__(
        self,
        children: Mapping[int, Child],
        patiently: Callable[[Callable[[], object]], object],
        rejoin: Callable[[], None],
    ) -> None:
        self.urgent = False  # whether the next beat is to come soon
        self._children = children
        self._patiently = patiently
        self._rejoin = rejoin
        self._renewed_at = 0.0
        self._first_deadline: float | None = None  # when the first op will have had its time, and did not stop
        self._alive: dict[Grant, Op] = {}  # the ops whose leases were renewed the last time
        self._fenced: list[tuple[float, Op]] = []  # (when, op) to stop what still runs under a lost lease

    def next_beat(self) -> float:
        """When to beat again, by the monotonic clock."""
        due = time.monotonic() + (URGENT if self.urgent else settings.LEASE_SECONDS / 3)
        return due if self._first_deadline is None else max(time.monotonic(), min(due, self._first_deadline))

    def beat(self) -> None:
        """Renew the leases of what is alive; then end what was canceled or had its time, and fail what has died."""
        dead = self.renew()
        now = claims.clock_time()
        self.urgent = bool(self._fenced)
        self._first_deadline = None
        for op in self._alive.values():
            if op.run.state == states.CANCELING:
                self._see_to_canceled(op, now)
            else:
                self._see_to_timeout(op, now)
        for op in dead:
            self.fail(op, f"its process died{self._how_it_ended(op)}")

    def _see_to_canceled(self, op: Op, now: datetime) -> None:
        self.urgent = True
        if now - (op.run.cancel_requested_at or now) > _grace():
            self.kill(op)
            self.fail(op, "killed: it did not stop when it was canceled")
        else:
            self.interrupt(op)

    def _see_to_timeout(self, op: Op, now: datetime) -> None:
        """Its own process raises TimedOut in its code. Code that swallows it, or can't be reached, is killed."""
        timeout = plans.load(op.run.plan_id).by_key[op.key].timeout
        if timeout is None or op.started_at is None:
            return
        left = (op.started_at + timedelta(seconds=timeout) + _grace() - now).total_seconds()
        if left <= 0:
            self.kill(op)
            self.fail(op, f"{interrupts.TimedOut(timeout)}; killed: it did not stop", TIMED_OUT)
        else:
            due = time.monotonic() + left
            self._first_deadline = due if self._first_deadline is None else min(due, self._first_deadline)

    def _how_it_ended(self, op: Op) -> str:
        """How an op's process ended, as its worker saw it: " (signal 9, SIGKILL)". Empty if that is not known."""
        child = self._child(op)
        how = child.slate.how_it_died(op.pk) if child else ""
        return f" ({how})" if how else ""

    def _child(self, op: Op) -> Child | None:
        """The worker that took an op."""
        return next((child for child in self._children.values() if child.worker_id == op.worker_id), None)

    def renew(self) -> list[Op]:
        """Renew the leases of our workers and of their ops whose processes live. Takes no lock. Returns the dead ops.

        An op that lives and is not renewed is fenced, and so is one that was renewed the last time and does not run
        under its token any more: its lease ran out in between, and it may be running elsewhere by now. What still
        lives a while after it was fenced is stopped.
        """
        self._renewed_at = time.monotonic()
        ours = [child.worker_id for child in self._children.values()]
        if workforce.renew(ours) < len(ours):
            self._rejoin()
        running = self.running()
        living = [op for op in running if self._is_alive(op)]
        renewed = claims.renew([_grant(op) for op in living], settings.LEASE_SECONDS)
        before, self._alive = self._alive, {_grant(op): op for op in living if transitions.op_holder(op.pk) in renewed}
        self._stop_fenced({op.pid for op in running})
        known = {_grant(op) for op in running}
        lost = [op for op in living if _grant(op) not in self._alive]
        lost += [op for grant, op in before.items() if grant not in known and self._is_alive(op)]
        self._fenced += [(time.monotonic() + URGENT, op) for op in lost]
        return [op for op in running if op not in living]

    def renew_if_due(self) -> None:
        """Called before anything that may wait for the admission lock, once for each wait."""
        if time.monotonic() - self._renewed_at >= settings.LEASE_SECONDS / 3:
            self.renew()

    def fail(self, op: Op, reason: str, cause: str = CRASHED) -> None:
        """Fail an op whose process is gone, once what that one started is gone too: its slots are about to be free.

        If it can't be done now, whatever comes after it is done all the same.
        """
        self.end_leftovers(op)
        self._patiently(lambda: transitions.op_died(op.pk, op.token or 0, reason, cause))

    def end_leftovers(self, op: Op) -> None:
        """Kill what the process of a dead op started. It may take a moment: the living are renewed first."""
        self._patiently(self.renew_if_due)
        if op.pid:
            processes.kill_group_left_by(op.pid)

    def running(self) -> list[Op]:
        ids = [child.worker_id for child in self._children.values()]
        return list(Op.objects.filter(state=states.RUNNING, worker_id__in=ids).select_related("run"))

    def _is_alive(self, op: Op) -> bool:
        """Whether the op's process is there, and is a child of the worker that took it."""
        child = self._child(op)
        return processes.is_child(op.pid, child.pid if child else None)

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
                self.kill(op)
                text = "its lease was not renewed in time; its process was stopped"
                self._patiently(partial(transitions.note_late, op.pk, op.attempt, text))

    def _runs(self, op: Op) -> bool:
        """Whether the op's process has not gone on to another op."""
        child = self._child(op)
        return child is None or child.slate.op_id in (0, op.pk)

    def interrupt(self, op: Op) -> None:
        if self._is_alive(op) and self._runs(op):
            processes.send(op.pid, interrupts.SIGNAL)

    def kill(self, op: Op) -> None:
        """Kill the op's process and whatever it started: it leads a process group of its own."""
        if self._is_alive(op) and op.pid and self._runs(op):
            processes.kill_group(op.pid)
            processes.wait_until(lambda: not self._is_alive(op), processes.GOING)


def _grace() -> timedelta:
    """How long an op has to clean up once it was told to stop."""
    return timedelta(seconds=settings.CANCEL_GRACE_SECONDS)


def _grant(op: Op) -> Grant:
    return Grant(transitions.op_holder(op.pk), op.token or 0)
