"""Processes of this machine as the launcher sees them from outside: whether they live, and how they are ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil

GOING = 1.0  # seconds that a process may need to be gone once it was killed


def is_child(pid: int | None, parent: int | None) -> bool:
    """Whether a process lives and is a child of this parent: pids are used again."""
    try:
        process = psutil.Process(pid or -1)
        return process.ppid() == parent and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


def how_it_ended(status: int) -> str:
    """What a wait status says: "signal 9, SIGKILL", "exit status 1"."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"


def has_children() -> bool:
    """Whether this process has started another one that it has not collected."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def is_gone(pid: int) -> bool:
    """Whether no process with this pid lives."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stands_still(pid: int) -> bool:
    """Whether a process was stopped by a signal and has not been continued."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def send(pid: int | None, what: signal.Signals) -> None:
    """Send a signal to a process, if it is there."""
    try:
        if pid:
            os.kill(pid, what)
    except ProcessLookupError:
        pass


def kill_group(leader: int) -> None:
    """Kill a process that leads a group, and whatever it started. Its end is not waited for."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def kill_group_left_by(leader: int) -> None:
    """Kill what a process started that has led a group and is gone, or will be in a moment.

    While a group has members, no new process is given its number. So when a living process has the leader's
    pid, it is a stranger and nothing is left of the group.
    """
    if wait_until(lambda: is_gone(leader), GOING):
        kill_group(leader)
        wait_until(lambda: all(is_gone(process.pid) for process in _group_of(leader)), GOING)


def end_what_we_started() -> None:
    """Kill every other process of our own group, which we lead, and what we started outside it. Waits for a moment."""
    us = os.getpid()
    found = {process.pid: process for process in psutil.Process().children(recursive=True)}
    found |= {process.pid: process for process in _group_of(us)}
    found.pop(us, None)
    for process in found.values():
        try:
            process.kill()
        except psutil.Error:
            pass
    psutil.wait_procs(list(found.values()), timeout=GOING)


def _group_of(leader: int) -> list[psutil.Process]:
    """The processes of a group."""

    def group(pid: int) -> int:
        try:
            return os.getpgid(pid)
        except (ProcessLookupError, PermissionError):
            return 0

    return [process for process in psutil.process_iter() if group(process.pid) == leader]


def wait_until(done: Callable[[], bool], most: float) -> bool:
    """Wait until `done()`, for so many seconds at most. Returns whether it is."""
    deadline = time.monotonic() + most
    while not (is_done := done()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_done
