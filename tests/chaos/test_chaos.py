"""A short chaos on each database, with a lease of a few seconds, so that more happens."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.chaos.site import ROOT
from tests.plugin import DATABASE

MINUTES = os.environ.get("CHAOS_MINUTES", "0.7")
SEED = os.environ.get("CHAOS_SEED", "20261125")
LEASE = "4"


def test_nothing_is_lost_and_nothing_is_stuck_whatever_dies() -> None:
    command = [
        sys.executable, "-m", "tests.chaos",
        "--minutes", MINUTES, "--seed", SEED, "--database", DATABASE, "--lease", LEASE,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    print(done.stderr)
    assert done.returncode == 0, done.stderr
