"""Audits the tables again and again while everything goes on: what must be true after every transaction is true."""

from __future__ import annotations

import threading
import time

from pools import claims
from runs import patience
from runs.audit import looking

EVERY = 0.5  # seconds


class Observer:
    """Looks at the engine in a thread of its own, as it stands at one moment."""

    def __init__(self) -> None:
        self.looks = 0
        self.problems: list[tuple[float, str]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(patience.PATIENCE * 2)
        if not self.looks:
            self.problems.append((time.time(), "nobody looked while it went on"))

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                with claims.snapshot():
                    found = [f"{finding.kind}: {finding.text}" for finding in looking.inside(*looking.read())]
                self.looks += 1
            except claims.AWAY as error:
                patience.did_not_answer(error)
                continue
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"]
            self.problems += [(time.time(), f"seen while it went on: {text}") for text in found]
