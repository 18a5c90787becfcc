"""Starts the servers of a test run before Django reads its settings. Loaded early, by pyproject.toml.

One run uses one database: SLUICE_TEST_DB=sqlite (the default) or postgres. `make test` makes both runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable

import pytest

from tests import servers

DATABASE = os.environ.get("SLUICE_TEST_DB", "sqlite")

_to_stop: list[Callable[[], object]] = []


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Runs before pytest-django's hook of this name, which imports the settings."""
    early_config.add_cleanup(_stop)
    folder = tempfile.mkdtemp(prefix="sluice-test-")
    _to_stop.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    redis = servers.Redis()
    _to_stop.append(redis.stop)
    database = f"sqlite:///{folder}/sluice.sqlite3"
    if DATABASE == "postgres":
        postgres = servers.Postgres()
        _to_stop.append(postgres.stop)
        database = postgres.url
    os.environ.pop("SECRET_KEY", None)
    os.environ.update(
        CONTROLPLANE_DATA=folder,
        CONTROLPLANE_MODULES="tests.jobs",
        CRASH_RETRIES="0",  # one death, one failure; tests of the budget set it
        REDIS_URL=redis.url,
        DATABASE_URL=database,
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "only tests that use a database: what others say, they have said beside the first one"
    parser.addoption("--of-the-database", action="store_true", help=said)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--of-the-database"):
        config.hook.pytest_deselected(items=[item for item in items if not _uses_database(item)])
        items[:] = filter(_uses_database, items)


def _uses_database(item: pytest.Item) -> bool:
    uses = {"db", "transactional_db", "django_db_setup"} & {*getattr(item, "fixturenames", ())}
    return bool(uses) or item.get_closest_marker("django_db") is not None


def _stop() -> None:
    while _to_stop:
        _to_stop.pop()()
