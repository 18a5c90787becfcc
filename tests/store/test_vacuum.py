"""PostgreSQL is told to look after the tables whose rows change with every op; SQLite has nothing of the kind."""

from __future__ import annotations

import pytest
from django.db import connection

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
