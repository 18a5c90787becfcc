"""A deployment with a Redis of its own, which may die, and a lease that is over soon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runs import tickets
from tests import servers
from tests.concurrency.deployments import Deployment

LEASE = 3.0  # seconds; in production it is 15
MARGIN = 3.0  # seconds, for a busy machine


@pytest.fixture
def redis(checked: None, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Redis]:
    """A Redis of this test's own, which keeps what it has; this process uses it too."""
    server = servers.Redis(append_only=True)
    settings.RQ_QUEUES = {"default": {"URL": server.url}}
    monkeypatch.setattr(tickets, "_client", None)
    monkeypatch.setattr(tickets, "_silent_until", 0.0)
    yield server
    server.stop()


@pytest.fixture
def deployment(redis: servers.Redis, settings, database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """Processes on the test's database and Redis, with a short lease; all of them are gone after the test."""
    settings.LEASE_SECONDS, settings.CRASH_RETRIES = LEASE, 1
    made = Deployment(
        database_url,
        tmp_path,
        REDIS_URL=redis.url,
        DJANGO_SETTINGS_MODULE="tests.chaos.settings",
        CHAOS_LEASE=str(LEASE),
        CRASH_RETRIES="1",
    )
    yield made
    made.close()
