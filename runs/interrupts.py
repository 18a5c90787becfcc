"""Interrupts exactly one op: a signal becomes an exception in the op's code, and nowhere else.

The launcher, or the RQ worker on a command, sends SIGUSR1 to the process that runs the op. The exception
is no Exception, so that `except Exception` in the op does not swallow it. Outside the op's code the
signal is only remembered, and takes effect when the op's code begins.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNAL = signal.SIGUSR1


class Interrupted(BaseException):
    """The op is to stop now: its run was canceled, or its worker is being stopped."""


_in_op = False
_asked = False


def install() -> None:
    """Take the signal in this process. Called in the main thread, before an op is started."""
    global _asked
    _asked = False
    signal.signal(SIGNAL, _on_signal)


def ignore() -> None:
    """Leave a process that runs no op unharmed by the signal."""
    signal.signal(SIGNAL, signal.SIG_IGN)


@contextmanager
def interruptible() -> Iterator[None]:
    """The op's own code runs inside. Raises Interrupted there, also for a signal that came just before."""
    global _in_op
    try:
        _in_op = True
        if _asked:
            _in_op = False
            raise Interrupted
        yield
    finally:
        _in_op = False


def _on_signal(signum: int, frame: FrameType | None) -> None:
    global _asked, _in_op
    _asked = True
    if _in_op:
        _in_op = False  # first: a second signal is not to interrupt the op's cleaning up, or its way back in line
        raise Interrupted
