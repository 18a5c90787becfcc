"""Django's SQLite backend, with writers queueing on a file lock instead of polling for SQLite's own.

SQLite lets a writer that finds the database locked sleep and try again: under load one process can win
ten thousand times while another never does. So each outermost transaction first takes `flock` on a file
beside the database, where the kernel keeps waiters in line, and only then says BEGIN IMMEDIATE.
Nothing else differs from Django's backend; single statements outside a transaction are left as they are.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose transactions wait their turn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn: int | None = None  # the file descriptor, while it is our turn
        self._taken_by = 0  # the process whose turn it is: a fork inherits the descriptor, not the turn

    def _start_transaction_under_autocommit(self) -> None:
        self._take_turn()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_turn()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._give_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._give_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give_turn()

    def _take_turn(self) -> None:
        """Wait for the lock. A descriptor of its own each time: one that a fork shared would lock for both."""
        if self._turn is not None and self._taken_by != os.getpid():
            self._give_turn()
        if self._turn is not None or self.is_in_memory_db():
            return
        turn = os.open(f"{self.settings_dict['NAME']}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
        except BaseException:
            os.close(turn)
            raise
        self._turn, self._taken_by = turn, os.getpid()

    def _give_turn(self) -> None:
        """Unlock, then close: a process forked meanwhile has the file open too, and closing ours would leave it locked.

        That process only closes: unlocking there would end its parent's turn.
        """
        if self._turn is not None:
            turn, self._turn = self._turn, None
            if self._taken_by == os.getpid():
                fcntl.flock(turn, fcntl.LOCK_UN)
            os.close(turn)
