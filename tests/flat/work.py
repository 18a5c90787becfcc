"""How much a database does, counted and not timed: SQLite's steps, and the rows that PostgreSQL reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from pools import claims

STEP = 10  # SQLite's steps between two calls of ours


def of(act: Callable[[], object]) -> int:
    """What an act costs: steps of SQLite's virtual machine, or rows and entries of indexes that PostgreSQL reads."""
    return (_rows if connection.vendor == "postgresql" else _steps)(act)


@contextmanager
def planned_once() -> Iterator[None]:
    """As in the process of an op, where PostgreSQL may plan a statement without its values: here it always does."""
    before = connection.settings_dict["OPTIONS"]
    connection.close()
    claims.plan_once()
    if connection.vendor == "postgresql":
        options = connection.settings_dict["OPTIONS"]
        blindly = f"{options['options']} -c plan_cache_mode=force_generic_plan"
        connection.settings_dict["OPTIONS"] = {**options, "options": blindly}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["OPTIONS"] = before


def _steps(act: Callable[[], object]) -> int:
    calls = 0

    def count() -> int:
        nonlocal calls
        calls += 1
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, STEP)
    try:
        act()
    finally:
        connection.connection.set_progress_handler(None, STEP)
    return calls * STEP


def _rows(act: Callable[[], object]) -> int:
    before = _rows_so_far()
    act()
    return _rows_so_far() - before


def _rows_so_far() -> int:
    """What all sessions have read of our tables; there is one. Catalogs aside: what is cached of them differs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")  # what this session has counted so far ...
        cursor.execute("SELECT 1")  # ... is added up now
        cursor.execute(
            "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname ~ '^(pools|runs)_')"
            " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname ~ '^(pools|runs)_')"
        )
        return int(cursor.fetchone()[0])
