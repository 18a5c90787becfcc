"""Looks at the tables again and again while everything goes on: what must be true after every transaction is true."""

from __future__ import annotations

import threading
import time

from django.db import connection, transaction

from pools import claims
from runs import patience
from tests import invariants

EVERY = 0.5  # seconds


class Observer:
    """Checks the engine in a thread of its own."""

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

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self._look()
                self.looks += 1
            except claims.AWAY as error:
                patience.did_not_answer(error)
            except AssertionError as error:
                self.problems.append((time.time(), f"seen while it went on: {error}"))

    def _look(self) -> None:
        """All of one moment: a snapshot on PostgreSQL, and on SQLite nobody writes meanwhile."""
        with transaction.atomic():
            if connection.vendor == "postgresql":
                connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            invariants.check_gates()
            invariants.check_lines()
            invariants.check_limits()
