"""The database and the engine of a test."""

from __future__ import annotations

import os
from functools import cache

import pytest

from tests.plugin import DATABASE


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """A file for SQLite: processes must be able to share it."""
    from django.conf import settings

    if DATABASE == "sqlite":
        name = settings.DATABASES["default"]["NAME"]
        settings.DATABASES["default"]["TEST"]["NAME"] = str(name).replace("sluice.sqlite3", "test.sqlite3")


@pytest.fixture(scope="session")
def database_url(django_db_setup) -> str:
    """The address of the test database, for processes of their own."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if DATABASE == "sqlite":
        return f"sqlite:///{name}"
    return os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"


@pytest.fixture(scope="session", autouse=True)
def emptied_quickly():
    """`clear` empties the tables after a test, and on PostgreSQL the next one goes on with the same connection.

    Django's own flush takes PostgreSQL a third of a second, and makes all permissions anew. Another connection is
    another process there, which begins by learning all about our tables.
    """
    from django.test import TransactionTestCase

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: clear())
        patch.setattr(TransactionTestCase, "_should_reload_connections", lambda case: DATABASE == "sqlite")
        yield


@pytest.fixture
def engine(transactional_db):
    """An empty engine on a real database, with its one-row tables."""
    clear()


@pytest.fixture
def checked(engine):
    """An empty engine, checked once the test is over."""
    from tests.invariants import check_engine

    yield
    check_engine()


@pytest.fixture
def as_installed(engine):
    """With the pool check at the queue, which `seed` turns off."""
    from pools.models import PoolSettings

    PoolSettings.objects.update(check_at_queue=True)


def clear() -> None:
    """Empty every table but those that describe the models, and put back the rows that migrations make."""
    import django_rq
    from django.db import connection, transaction

    from runs import plans

    deletes = [f"DELETE FROM {table}" for table in sorted(_tables())]
    if DATABASE == "postgres":
        deletes = ["; ".join(deletes)]  # little is in them: TRUNCATE would take twenty times as long
    with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are checked at its end
        for delete in deletes:
            cursor.execute(delete)
        seed()
    plans.forget()
    django_rq.get_connection("default").flushdb()


@cache
def _tables() -> set[str]:
    from django.db import connection

    return {*connection.introspection.django_table_names()} - {"django_content_type", "auth_permission"}


def seed() -> None:
    """Runs don't wait in the queue for the pools of their root ops, so that ops can wait: tests of that turn it on."""
    from pools.models import Gate, PoolSettings
    from runs.models import RunQueue

    PoolSettings.objects.create(pk=1, check_at_queue=False)
    RunQueue.objects.create(pk=1)
    Gate.objects.create(key="runs", kind="runs", label="runs in progress", limit=10, cap=10)
