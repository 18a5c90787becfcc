"""Whose transactions keep PostgreSQL from removing dead rows: those that may still see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from pools.claims.lock import moment, rows


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that has been open for long. `ends_it`: the statement that ends it."""

    name: str  # "session 4711"
    who: str
    what: str  # what it is doing: "idle in transaction", "active", "prepared"
    since: datetime
    ends_it: str


def holding_back(seconds: float) -> list[OpenTransaction]:
    """The transactions on our database that hold back its vacuum for longer than so, the oldest first.

    SQLite has none: its checkpoints wait for readers, and a reader of ours reads for a moment. Sessions of other users
    are seen by those who may read all statistics (`pg_read_all_stats`).
    """
    if connection.vendor != "postgresql":
        return []
    found = rows(
        "SELECT 'session ' || pid, concat_ws(', ', usename, nullif(application_name, ''), host(client_addr)), state,"
        " xact_start, format('SELECT pg_terminate_backend(%%s)', pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        " AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)"
        " AND xact_start < clock_timestamp() - make_interval(secs => %s)"
        " UNION ALL SELECT 'prepared transaction ' || gid, owner, 'prepared', prepared,"
        " format('ROLLBACK PREPARED %%L', gid) FROM pg_prepared_xacts"
        " WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => %s)"
        " ORDER BY 4",
        [seconds, seconds],
    )
    return [OpenTransaction(name, who, what, moment(since), ends_it) for name, who, what, since, ends_it in found]
