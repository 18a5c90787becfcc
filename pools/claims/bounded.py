"""Reads for eyes that the database itself stops when they take too long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction

STEPS = 10_000  # of SQLite's virtual machine, between two looks at the time
STRUCK = ("interrupted", "statement timeout")  # what SQLite and PostgreSQL say of a statement that was stopped


class TookTooLong(Exception):
    """The database stopped a statement: it had taken as long as it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let no statement within take longer than this: on SQLite all of them together. Raises TookTooLong.

    On PostgreSQL the limit is the transaction's own, so that it ends with it also where connections are shared.
    """
    bound = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
    try:
        with bound(seconds):
            yield
    except OperationalError as error:
        if any(words in str(error) for words in STRUCK):
            raise TookTooLong from error
        raise


@contextmanager
def _on_postgresql(seconds: float) -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        yield


@contextmanager
def _on_sqlite(seconds: float) -> Iterator[None]:
    """By a look at the time every few thousand steps. No transaction: it would keep out whoever writes."""
    connection.ensure_connection()
    until = time.monotonic() + seconds
    at: Any = connection.connection
    at.set_progress_handler(lambda: int(time.monotonic() > until), STEPS)
    try:
        yield
    finally:
        at.set_progress_handler(None, STEPS)
