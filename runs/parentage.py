"""Ties a process to its parent: when the parent dies, whatever the cause, so does the child. Tells where we are."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def here() -> str:
    """Where a pid means the same process: this boot of this machine, in this pid namespace. "" if not known."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def die_with(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Called in a new child: ask the kernel for a signal when the parent dies, then check that it has not yet.

    In this order there is no moment at which the parent's death goes unnoticed. Only Linux can do it.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
