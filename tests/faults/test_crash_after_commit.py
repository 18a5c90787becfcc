"""PostgreSQL crashes: what was done under the admission lock is there again, though the lock does not wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from pools.claims.lock import ADMISSION_LOCK, admission_lock, rows
from tests import servers
from tests.plugin import DATABASE

pytestmark = pytest.mark.skipif(DATABASE != "postgres", reason="SQLite's lock is the file's")

WRITES = """
import django
django.setup()
from pools.claims.lock import admission_lock, run
with admission_lock():
    run("INSERT INTO written VALUES (1)")
print("written", flush=True)
"""


@pytest.fixture
def durable() -> Iterator[servers.Postgres]:
    """A server that writes behind as late as it may, if nobody waits for it."""
    server = servers.Postgres(durable=True)
    with psycopg.connect(server.url, autocommit=True) as ours:
        ours.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        ours.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
        ours.execute("SELECT pg_reload_conf()")
        ours.execute("CREATE TABLE written (number int)")
    yield server
    server.stop()


def test_what_was_said_to_be_done_survives_a_crash(durable: servers.Postgres, tmp_path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", WRITES],
        env={
            **os.environ,
            "CONTROLPLANE_DATA": str(tmp_path),
            "DATABASE_URL": durable.url,
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    durable.halt(signal.SIGQUIT)
    durable.start()
    assert said.stdout == "written\n"
    with psycopg.connect(durable.url) as ours:
        assert ours.execute("SELECT number FROM written").fetchall() == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_the_lock_is_free_before_the_disk_is_waited_for(database_url: str) -> None:
    free = []

    def look(execute, sql, params, many, context):
        if "pg_logical_emit_message" in sql:
            with psycopg.connect(database_url) as other:
                free.extend(other.execute("SELECT pg_try_advisory_xact_lock(%s)", [ADMISSION_LOCK]).fetchone())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look), admission_lock():
        assert rows("SELECT current_setting('synchronous_commit')") == [("off",)]
    assert free == [True]
