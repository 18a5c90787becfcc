"""The engine that threads and processes share, checked once the test is over."""

from __future__ import annotations

import pytest

from tests.concurrency.deployments import Deployment
from tests.plugin import DATABASE


@pytest.fixture
def rounds() -> int:
    """How often a race is run: where two can really be at it at once, hundreds of times."""
    return 200 if DATABASE == "postgres" else 40


@pytest.fixture
def deployment(checked, database_url, tmp_path):
    """Processes on the test's database; all of them are gone after the test."""
    made = Deployment(database_url, tmp_path)
    yield made
    made.close()
