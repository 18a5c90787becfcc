"""The one lock, the database's clock, and the few things in which SQLite and PostgreSQL differ.

There is one lock for the deployment, and it comes first: every transaction that may change a waiting
candidate, a hold or a gate takes it before it touches any row. So two of them never wait for each other
in a circle. The writes that do without it (a start, a renewal) are single guarded statements.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.utils import InterfaceError, InternalError, OperationalError

ADMISSION_LOCK = 0x51_75_6C_63_65  # any number, the same in every process of a deployment
TRIES = 8

# What the database raises when it does not answer, or cut us off: whoever may try again does. PostgreSQL ends a
# transaction that was idle for too long, because its process was frozen perhaps, by what Django calls an InternalError.
AWAY = (OperationalError, InterfaceError, InternalError)


def is_full(error: BaseException) -> bool:
    """Whether the database refused to write because it has no room left on its disk."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) == "53100" or "disk is full" in str(cause)


@contextmanager
def admission_lock() -> Iterator[datetime]:
    """Open a transaction under the admission lock; yields the database's time.

    When it is left, what was done is on the disk. PostgreSQL is waited for after the lock is free again: whoever has it
    next may already build on what we did, and nobody acts on anything before it has waited for the disk itself, which
    keeps all that was done earlier too. Raises what a lost connection raises when that can't be known.

    PostgreSQL gives up waiting for the lock after `lock_timeout`. Nothing has been done by then, so the
    transaction is begun anew, a bounded number of times. On SQLite, BEGIN IMMEDIATE is the lock.
    Raises OperationalError when the lock could not be had.
    """
    with ExitStack() as stack:
        yield _begin(stack)


def _begin(stack: ExitStack) -> datetime:
    for tries_left in reversed(range(TRIES)):
        attempt = ExitStack()
        try:
            attempt.enter_context(transaction.atomic(durable=True))
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    with together():  # with BEGIN
                        cursor.execute(
                            "SELECT pg_advisory_xact_lock(%s), set_config('synchronous_commit', 'off', true),"
                            " clock_timestamp()",
                            [ADMISSION_LOCK],
                        )
                    now = cursor.fetchone()[2]
                transaction.on_commit(_wait_for_the_disk)
            else:
                now = datetime.now(UTC)
        except OperationalError as error:
            attempt.__exit__(*sys.exc_info())
            if not tries_left or not _is_lock_timeout(error):
                raise
            time.sleep(random.uniform(0, 0.05))
        else:
            stack.enter_context(attempt)
            return now
    raise AssertionError("unreachable")


def _wait_for_the_disk() -> None:
    """The first thing after the commit: what else waits for the commit (tickets, say) must not outlive it."""
    rows("SELECT pg_logical_emit_message(true, 'sluice', '')")  # the log up to here is written when this is answered


@contextmanager
def together() -> Iterator[None]:
    """Send the statements inside to PostgreSQL in one trip. How many rows they changed is not known inside."""
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, connection.connection.pipeline():
            yield
    else:
        yield


def plan_once() -> None:
    """Let PostgreSQL plan a statement that is repeated once, and not each time: half of its work for an op is planning.

    For a process that repeats the engine's few statements, before it connects. Not for pages: such a plan does not know
    the values, and for some of theirs it would be a bad one. What the database's address says goes first.
    """
    if connection.vendor == "postgresql":
        options = connection.settings_dict["OPTIONS"]
        connection.settings_dict["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 1, **options}


@contextmanager
def turn() -> Iterator[None]:
    """Wait in line to write a single statement. On SQLite it would have to push its way past those who wait."""
    if connection.vendor == "postgresql" or connection.in_atomic_block:
        yield
    else:
        with transaction.atomic():
            yield


def _is_lock_timeout(error: OperationalError) -> bool:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) == "55P03" or "database is locked" in str(cause)


@contextmanager
def snapshot() -> Iterator[datetime]:
    """Read as the database stood at one moment, whatever others write meanwhile, and write nothing. Waits for nobody.

    Yields the database's time. Raises RuntimeError inside a transaction.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a snapshot is a transaction of its own")
    if connection.vendor == "postgresql":
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT clock_timestamp()")
            yield cursor.fetchone()[0]
        return
    with connection.cursor() as cursor:  # not Django's transaction: that one takes its turn among the writers
        cursor.execute("BEGIN")
        try:
            cursor.execute("SELECT count(*) FROM pools_poolsettings")  # the moment is that of the first read
            yield datetime.now(UTC)
        finally:
            cursor.execute("ROLLBACK")


def clock_time() -> datetime:
    """The database's time, outside any transaction. SQLite's clock is this machine's."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    return rows("SELECT clock_timestamp()")[0][0]


def server_uptime() -> float:
    """Seconds since the database server started. SQLite is up whenever we are."""
    if connection.vendor != "postgresql":
        return float("inf")
    return float(rows("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())")[0][0])


def clock_sql() -> str:
    """An SQL expression for the database's time plus a parameter in seconds, to be passed by `seconds`."""
    if connection.vendor == "postgresql":
        return "clock_timestamp() + make_interval(secs => %s)"
    return "%s"


def seconds(number: float) -> Any:
    """The parameter for `clock_sql`."""
    if connection.vendor == "postgresql":
        return number
    return stamp(datetime.fromtimestamp(time.time() + number, UTC))


@lru_cache(maxsize=64)
def stamp(moment: datetime | None) -> Any:
    """A time as this database's driver wants it in hand-written SQL."""
    return None if moment is None else connection.ops.adapt_datetimefield_value(moment)


def moment(value: Any) -> datetime:
    """A time as this database's driver returns it, as an aware datetime in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def rows(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement that returns rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def run(sql: str, params: Sequence[Any] = ()) -> int:
    """Run a statement; returns how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


def marks(values: Sequence[Any] | set[Any] | dict[Any, Any]) -> str:
    """Placeholders for an IN list."""
    return ",".join(["%s"] * len(values))


def table(row: str, count: int) -> str:
    """A VALUES list of `count` rows; both databases name its columns column1, column2, ..."""
    return "(VALUES " + ",".join([row] * count) + ")"
