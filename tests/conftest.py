"""The database and the engine of a test."""

from __future__ import annotations

import os

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


@pytest.fixture
def engine(transactional_db):
    """An empty engine on a real database, with its one-row tables."""
    clear()
    yield
    clear()


def clear() -> None:
    """Empty every table of ours, and put back the rows that migrations make."""
    import django_rq
    from django.db import connection

    from runs import plans

    tables = [
        "pools_waiter", "pools_hold", "pools_lanegate", "pools_lane", "pools_pool", "pools_gate", "pools_change",
        "pools_poolsettings", "runs_logline", "runs_opoutput", "runs_op", "runs_runtag", "runs_run", "runs_plan",
        "runs_worker", "runs_tagrule", "runs_runqueue",
    ]  # fmt: skip
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")
    seed()
    plans.forget()
    django_rq.get_connection("default").flushdb()


def seed() -> None:
    from pools.models import Gate, PoolSettings
    from runs.models import RunQueue

    PoolSettings.objects.get_or_create(pk=1)
    RunQueue.objects.get_or_create(pk=1)
    Gate.objects.get_or_create(
        key="runs", defaults={"kind": "runs", "label": "runs in progress", "limit": 10, "cap": 10}
    )
