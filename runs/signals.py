"""Waiting that a signal ends at once, and none is lost: also one that comes just before the wait begins."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType


class WakeUps:
    """Within this context, `wait` returns early when a signal arrives. For the main thread.

    The signals named get a handler that does nothing else; those that have one of their own keep it.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._signals = signals
        self._read = self._write = -1

    def __enter__(self) -> WakeUps:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self._signals:
            signal.signal(number, _noted)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.set_wakeup_fd(self._before)
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Wait for a signal, at most so long."""
        select.select([self._read], [], [], seconds)
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            pass

    def forget(self) -> None:
        """In a forked child: leave the parent's pipe alone, and take signals as any process does."""
        signal.set_wakeup_fd(-1)
        for number in (*self._signals, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)


def _noted(signum: int, frame: FrameType | None) -> None:
    pass
