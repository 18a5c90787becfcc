"""After each test of the store, the tables must be as they should be after any transaction."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.invariants import check_engine


@pytest.fixture
def checked(engine):
    """An empty engine, checked once the test is over."""
    yield
    check_engine()


@pytest.fixture
def outputs_folder(tmp_path, settings):
    """The folder of stored values, of this test alone."""
    storages = deepcopy(settings.STORAGES)
    storages["outputs"]["OPTIONS"]["location"] = str(tmp_path)
    settings.STORAGES = storages
    return tmp_path
