"""The admission lock is asked for again when it could not be had in time: nothing has been done by then."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError, connection

from pools.claims.lock import ADMISSION_LOCK, TRIES, admission_lock, rows
from tests.plugin import DATABASE

pytestmark = [
    pytest.mark.skipif(DATABASE != "postgres", reason="SQLite waits in its own line"),
    pytest.mark.django_db(transaction=True),
]


@pytest.mark.parametrize("freed_at", [3, TRIES + 1])
def test_who_waited_in_vain_asks_again(database_url: str, freed_at: int) -> None:
    asked = 0
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [ADMISSION_LOCK])

        def note(execute, sql, params, many, context):
            nonlocal asked
            asked += "pg_advisory_xact_lock" in sql
            if asked == freed_at:
                other.rollback()
            return execute(sql, params, many, context)

        rows("SELECT set_config('lock_timeout', '20ms', false)")
        try:
            with connection.execute_wrapper(note):
                if freed_at <= TRIES:
                    with admission_lock():
                        assert connection.in_atomic_block
                else:
                    with pytest.raises(OperationalError, match="lock timeout"), admission_lock():
                        pass
        finally:
            rows("SELECT set_config('lock_timeout', '2000ms', false)")
    assert asked == min(freed_at, TRIES)
    assert not connection.in_atomic_block
    assert rows("SELECT 1") == [(1,)]
