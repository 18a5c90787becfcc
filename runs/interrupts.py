"""Interrupts exactly one op: a signal, or the end of its time, becomes an exception in its code, and nowhere else.

The launcher, or the RQ worker on a command, sends SIGUSR1 to the process that runs the op. The exception
is no Exception, so that `except Exception` in the op does not swallow it. Outside the op's code the
signal is only remembered, and takes effect when the op's code begins.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

SIGNAL = signal.SIGUSR1


class Interrupted(BaseException):
    """The op is to stop now: its run was canceled, or its worker is being stopped."""


class TimedOut(BaseException):
    """The op has had its time. The text says how long that was."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"timed out after {seconds:.10g} s")


_in_op = False
_asked = False


def install() -> None:
    """Take the signal in this process. Called in the main thread, before an op is started."""
    global _asked
    _asked = False
    signal.signal(SIGNAL, _on_signal)


def rearm() -> None:
    """Forget what was asked of an op that has ended: another one is about to start in this process."""
    global _asked
    _asked = False


def asked() -> bool:
    """Whether somebody wanted to interrupt the op that this process runs."""
    return _asked


def ignore() -> None:
    """Leave a process that runs no op unharmed by the signal."""
    signal.signal(SIGNAL, signal.SIG_IGN)


@contextmanager
def interruptible(timeout: float | None = None) -> Iterator[None]:
    """The op's own code runs inside. Raises Interrupted there, also for a signal that came just before.

    With a timeout in seconds, raises TimedOut there when they are over; and on leaving, if the code went on after it.
    Once, so that what it cleans up is left in peace: what does not stop is the launcher's to kill.
    """
    global _in_op
    try:
        _in_op = True
        if _asked:
            _in_op = False
            raise Interrupted
        with nullcontext() if timeout is None else _alarm(timeout):
            yield
    finally:
        _in_op = False


@contextmanager
def _alarm(timeout: float) -> Iterator[None]:
    """Raise TimedOut in the code inside when its time is over, and instead of whatever it makes of that."""
    over: list[TimedOut] = []

    def on_alarm(signum: int, frame: FrameType | None) -> None:
        if _in_op:
            over.append(TimedOut(timeout))
            raise over[0]

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        yield
    except (Interrupted, TimedOut):
        raise
    except BaseException as error:
        if over:
            raise over[0] from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if over:
        raise over[0]


def _on_signal(signum: int, frame: FrameType | None) -> None:
    global _asked, _in_op
    _asked = True
    if _in_op:
        _in_op = False  # first: a second signal is not to interrupt the op's cleaning up, or its way back in line
        raise Interrupted
