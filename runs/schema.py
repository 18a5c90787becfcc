"""Says so when the database is behind the code, instead of failing at the first missing column."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def behind() -> list[str]:
    """The migrations that have not been applied."""
    executor = MigrationExecutor(connection)
    return [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def require_current() -> None:
    """Raise CommandError if migrations have not been applied."""
    if missing := behind():
        names = ", ".join(missing[:3])
        raise CommandError(
            f"the database is behind this code by {len(missing)} migrations ({names}…): run `manage.py migrate`."
        )
