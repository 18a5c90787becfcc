"""Real processes and threads for the tests: forked, started together, and always collected."""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from typing import Any

from django.db import connections

from runs.parentage import die_with

PATIENCE = 90.0  # seconds after which a process counts as hanging


class Forked:
    """A process that does one thing and tells what came of it. It dies with the process that made it."""

    def __init__(self, act: Callable[[], Any]) -> None:
        connections.close_all()  # a child must not share our connection
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._read)
            _be_a_process(act, parent, write)
        os.close(write)

    def result(self, seconds: float = PATIENCE) -> Any:
        """What it returned, once it has ended. Raises what it raised, or TimeoutError after killing it."""
        data, deadline = b"", time.monotonic() + seconds
        while True:
            readable, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                self.kill()
                raise TimeoutError(f"process {self.pid} did not end within {seconds} s")
            part = os.read(self._read, 65536)
            if not part:
                break
            data += part
        self._collect()
        if not data:
            raise RuntimeError(f"process {self.pid} was killed")
        well, what = pickle.loads(data)
        if not well:
            raise AssertionError(f"in a process:\n{what}")
        return what

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._collect()

    def _collect(self) -> None:
        os.waitpid(self.pid, 0)
        os.close(self._read)


def in_a_process(act: Callable[[], Any]) -> Any:
    """Do something in a process of its own, with the real stdout and stderr, as an op's attempt is."""
    return Forked(act).result()


def in_processes(*acts: Callable[[], Any]) -> list[Any]:
    """Do things in a process each, all starting at the same moment. Returns what each returned."""
    barrier = get_context("fork").Barrier(len(acts))

    def together(act: Callable[[], Any]) -> Callable[[], Any]:
        def wait_and_act() -> Any:
            connections["default"].ensure_connection()
            barrier.wait(PATIENCE)
            return act()

        return wait_and_act

    return _results([Forked(together(act)) for act in acts])


def _results(forked: Sequence[Forked]) -> list[Any]:
    found, failed = [], None
    for process in forked:
        try:
            found.append(process.result())
        except (AssertionError, RuntimeError, TimeoutError) as error:
            failed = failed or error
    if failed:
        raise failed
    return found


def in_threads(*acts: Callable[[], Any]) -> list[Any]:
    """Do things in a thread each, all starting at the same moment. Returns what each returned."""
    barrier = threading.Barrier(len(acts))
    found: list[Any] = [None] * len(acts)
    errors: list[BaseException] = []

    def together(number: int, act: Callable[[], Any]) -> None:
        try:
            connections["default"].ensure_connection()
            barrier.wait(PATIENCE)
            found[number] = act()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=together, args=(n, act), daemon=True) for n, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if errors:  # the first says why the others hang
        raise errors[0]
    if any(thread.is_alive() for thread in threads):
        raise TimeoutError("a thread hangs")
    return found


def _be_a_process(act: Callable[[], Any], parent: int, write: int) -> None:
    try:
        die_with(parent)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        answer = pickle.dumps((True, act()))
    except BaseException:
        answer = pickle.dumps((False, traceback.format_exc()))
    try:
        connections.close_all()
        while answer:
            answer = answer[os.write(write, answer) :]
    finally:
        os._exit(0)
