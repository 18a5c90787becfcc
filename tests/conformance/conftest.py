"""One open database for all scenarios, emptied between them, and the line that says how many agreed."""

from __future__ import annotations

import pytest

from tests.conftest import clear
from tests.plugin import DATABASE

_agreed = {"the model": [0, 0], "the decision": [0, 0], DATABASE: [0, 0]}  # scenarios and events


@pytest.fixture
def _django_db_helper(django_db_setup, django_db_blocker):
    """Instead of pytest-django's: its flush after each test would take most of the time. `clear` does as well."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def empty_database(db):
    clear()


@pytest.fixture(scope="session")
def agreed():
    """Counts a scenario that was played to its end: who agreed with its text, and its events."""

    def count(who: str, events: int) -> None:
        _agreed[who][0] += 1
        _agreed[who][1] += events

    return count


def pytest_terminal_summary(terminalreporter) -> None:
    if any(scenarios for scenarios, _ in _agreed.values()):
        counts = ", ".join(f"{who}: {events} events of {scenarios}" for who, (scenarios, events) in _agreed.items())
        terminalreporter.write_line(f"conformance: what is written was seen by {counts} scenarios")
