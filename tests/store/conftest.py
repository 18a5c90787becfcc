"""After each test of the store, the tables must be as they should be after any transaction."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from runs import catalog
from runs.models import Worker
from tests import servers
from tests.house.code import ROOT
from tests.invariants import check_engine
from tests.store.commands import JOBS


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


@pytest.fixture
def command_jobs(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """The definitions of command_jobs, loaded when they are first asked for."""
    settings.CONTROLPLANE_MODULES = [JOBS]
    monkeypatch.setattr(catalog, "_loaded", None)
    sys.modules.pop(JOBS, None)


@pytest.fixture
def manage(database_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs manage.py as a process of its own, as a person does."""

    def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url, "CONTROLPLANE_MODULES": JOBS, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def worker(database_url: str) -> Iterator[None]:
    """A real launcher with one worker, counted as alive."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--count", "1", "--grace", "0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "CONTROLPLANE_MODULES": JOBS},
    )
    try:
        servers.wait_for(lambda: Worker.objects.filter(pid__isnull=False).exists(), "no worker came alive")
        yield
    finally:
        process.terminate()
        process.wait(20)
