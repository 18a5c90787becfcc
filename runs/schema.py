"""Says so when the database is behind the code, instead of failing at the first missing column."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def require_current() -> None:
    """Raise CommandError if migrations have not been applied."""
    executor = MigrationExecutor(connection)
    behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if behind:
        names = ", ".join(str(migration) for migration, _ in behind[:3])
        raise CommandError(
            f"the database is behind this code by {len(behind)} migrations ({names}…): run `manage.py migrate`."
        )
