"""Keeps the processes of one machine running: restarts what dies, and stops everything in order.

Each child has a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone, and
dies with it. The supervisor itself holds no connection and no thread: it forks the children from its own,
loaded memory, which starts them at once and shares what they have in common.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connections

from runs.parentage import die_with
from runs.signals import WakeUps

log = logging.getLogger(__name__)

STOPS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 4.0  # seconds that children get to stop before they are killed
LONG_LIFE = 20.0  # a child that lived so long is restarted at once
LONGEST_PAUSE = 15.0


@dataclass
class Child:
    """A process to keep running. `main` runs in the child and ends it by returning."""

    name: str
    main: Callable[[], None]
    stops_last: bool = False
    pid: int = 0
    born: float = 0.0
    pause: float = field(default=0.25)
    start_at: float = 0.0


class Supervisor:
    """Children, from the first start to the last stop."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._stopping = False

    def start(self, child: Child) -> Child:
        """Start a child and keep it running from now on."""
        self.children.append(child)
        self._fork(child)
        return child

    def has_ended(self, child: Child) -> bool:
        """Whether a child has ended by itself. For before `run`: nothing is started again."""
        if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
            child.pid = 0
        return not child.pid

    def run(self, wake_ups: WakeUps, stop_asked: Callable[[], bool]) -> None:
        """Restart what dies, until `stop_asked()`."""
        while not stop_asked():
            self._reap()
            now = time.monotonic()
            for child in self.children:
                if not child.pid and child.start_at <= now:
                    self._fork(child)
            waiting = [child.start_at - now for child in self.children if not child.pid]
            wake_ups.wait(max(0.05, min(waiting, default=60.0)))

    def stop(self) -> None:
        """Stop all children: first those that use the others, all at once; then the last ones."""
        self._stopping = True
        first = [child for child in self.children if child.pid and not child.stops_last]
        last = [child for child in self.children if child.pid and child.stops_last]
        self._stop_all(first, PATIENCE)
        self._stop_all(last, 1.0)

    def _stop_all(self, children: list[Child], patience: float) -> None:
        for child in children:
            _send(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while any(child.pid for child in children) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for child in children:
            if child.pid:
                log.warning("%s did not stop in time and is killed", child.name)
                _send(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0

    def _fork(self, child: Child) -> None:
        connections.close_all()
        sys.stdout.flush()
        sys.stderr.flush()
        supervisor = os.getpid()
        # A stop that reached the child while it still has our handlers would be lost on it.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        pid = os.fork()
        if pid:
            child.pid, child.born = pid, time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            return
        status = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (*STOPS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            die_with(supervisor, signal.SIGTERM)
            child.main()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        for child in self.children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            lived, child.pid = time.monotonic() - child.born, 0
            child.pause = 0.25 if lived > LONG_LIFE else min(child.pause * 2, LONGEST_PAUSE)
            child.start_at = time.monotonic() + child.pause
            if not self._stopping:
                how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
                log.warning("%s ended (%s) and is started again", child.name, how)


def _send(pid: int, what: signal.Signals) -> None:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        pass
