"""Commands as the tests give them, in this process."""

from __future__ import annotations

import json
import subprocess
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pools.sizing import Author
from runs import catalog, launch, run_limits
from runs.models import Run
from tests.invariants import check_engine

JOBS = "tests.store.command_jobs"
SOMEBODY = Author("somebody", "page")


def say(*arguments: str) -> str:
    """Run a command here; returns what it prints."""
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    check_engine()
    return out.getvalue()


def read(*arguments: str) -> Any:
    """Run a command here; returns the JSON that it prints."""
    return json.loads(say(*arguments, "--json"))


def refused(*arguments: str) -> list[str]:
    """Run a command here that must fail; returns its lines."""
    with pytest.raises(CommandError) as caught:
        say(*arguments)
    return str(caught.value).splitlines()


def me() -> str:
    """The operating system's user."""
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def queued(job: str = "failing", **options: Any) -> Run:
    """A run that the closed run queue keeps waiting."""
    run_limits.set_maximum(0, SOMEBODY)
    return launch.launch(catalog.current().jobs[job], who="ann", door="page", **options)
