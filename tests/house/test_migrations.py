"""The models and their migrations agree, whatever order a set has in a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.house.code import ROOT


@pytest.mark.parametrize("seed", ["0", "1", "2", "random"])
def test_the_models_have_no_change_without_a_migration(seed):
    done = subprocess.run(
        [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
