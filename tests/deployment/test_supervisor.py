"""The supervisor of one machine: what it starts, it can stop."""

from __future__ import annotations

import signal
import time

from controlplane import supervisor
from controlplane.supervisor import Child, Supervisor


def test_a_child_that_is_told_to_stop_at_once_stops() -> None:
    """Until a child has put back the handlers that it got from its parent, the word to stop waits for it."""
    before = signal.signal(signal.SIGTERM, lambda signum, frame: None)
    began = time.monotonic()
    try:
        for _ in range(40):
            parent = Supervisor()
            parent.start(Child("short", signal.pause))
            parent.stop()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - began < supervisor.PATIENCE
