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
    """Empty every table of ours, and put back the rows that migrations make."""
    import django_rq
    from django.db import connection

    from runs import plans

    tables = [
        "pools_waiter", "pools_hold", "pools_wait", "pools_lanegate", "pools_prospect", "pools_lane", "pools_pool",
        "pools_gate", "pools_change", "pools_audit", "pools_repair", "pools_poolsettings", "runs_logline",
        "runs_opevent", "runs_opoutput", "runs_op", "runs_runtag", "runs_run", "runs_planpool", "runs_plan",
        "runs_worker", "runs_relining", "runs_tagrule", "runs_bulkcancel", "runs_pruned",
        "runs_runqueue",
    ]  # fmt: skip
    with connection.cursor() as cursor:  # little is in them: TRUNCATE would take PostgreSQL twenty times as long
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")
    seed()
    plans.forget()
    django_rq.get_connection("default").flushdb()


def seed() -> None:
    """Runs don't wait in the queue for the pools of their root ops, so that ops can wait: tests of that turn it on."""
    from pools.models import Gate, PoolSettings
    from runs.models import RunQueue

    PoolSettings.objects.get_or_create(pk=1, defaults={"check_at_queue": False})
    RunQueue.objects.get_or_create(pk=1)
    Gate.objects.get_or_create(
        key="runs", defaults={"kind": "runs", "label": "runs in progress", "limit": 10, "cap": 10}
    )
