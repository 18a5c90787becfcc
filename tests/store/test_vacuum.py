"""PostgreSQL is told to look after the tables whose rows change with every op; SQLite has nothing of the kind.

Who keeps it from that, by a transaction that stays open, is warned of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from runs.audit import drift, looking, repairs
from tests.builders import ADA
from tests.plugin import DATABASE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(DATABASE != "postgres", reason="SQLite has no autovacuum of this kind"),
]

HOT = {"pools_gate", "pools_lane", "pools_waiter", "pools_hold", "runs_op", "runs_run", "runs_worker"}


def test_hot_tables_are_vacuumed_eagerly(engine):
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.01' = ANY (reloptions)")
        assert {name for (name,) in cursor.fetchall()} == HOT


@pytest.fixture
def somebody(engine, monkeypatch) -> Iterator[Callable[[str], Any]]:
    """Opens a transaction of somebody else by a statement. What is open for a moment is open for long."""
    monkeypatch.setattr(looking, "OLD", timedelta())
    opened: list[Any] = []

    def opens(statement: str) -> Any:
        other = connection.copy()
        opened.append(other)
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET application_name = 'nightly dump'")
            cursor.execute(statement)
        return other

    yield opens
    for other in opened:
        other.rollback()
        other.close()


READS = "SELECT count(*) FROM runs_run"


def test_who_holds_back_the_vacuum_is_warned_of(somebody, capsys):
    other = somebody(READS)
    pid = other.connection.info.backend_pid
    found = looking.look()
    (warning,) = found.warnings
    assert (warning.kind, warning.subject) == (drift.HELD_BACK, f"session {pid}")
    assert "nightly dump" in warning.text
    assert "is idle in transaction" in warning.text
    assert f"SELECT pg_terminate_backend({pid})" in warning.remedy
    assert found.findings == ()
    call_command("audit")  # no drift: it does not exit by a status of its own
    said = capsys.readouterr().out
    assert f"warning: vacuum_held: session {pid} of " in said
    assert "no drift" in said
    with pytest.raises(repairs.CannotRepair):
        repairs.repair(warning, ADA)
    other.rollback()
    assert looking.look().warnings == ()


def test_one_that_writes_holds_it_back_and_one_that_has_only_read_does_not(somebody):
    somebody("CREATE TEMP TABLE its_own (n int)")
    assert len(looking.look().warnings) == 1
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(READS)
    assert len(looking.look().warnings) == 1
    other.rollback()
    other.close()
