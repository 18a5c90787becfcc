"""Runs the tests on SQLite and on PostgreSQL side by side: they wait more than they compute.

`python -m tests.both` shows the first as it goes on and the second when it has ended. Exit status 0 if both passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

# What depends on the database. Everything else is tested once, with SQLite.
ON_BOTH = (
    "tests/store", "tests/conformance", "tests/property", "tests/concurrency", "tests/web", "tests/acceptance",
    "tests/faults", "tests/chaos",
)  # fmt: skip


def main() -> int:
    with tempfile.TemporaryFile() as said:
        second = subprocess.Popen(
            [sys.executable, "-m", "pytest", *ON_BOTH],
            env={**os.environ, "SLUICE_TEST_DB": "postgres"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            first_failed = subprocess.run([sys.executable, "-m", "pytest"]).returncode
            second_failed = second.wait()
        finally:
            second.terminate()
            second.wait()
        print("\nThe same on PostgreSQL:", flush=True)
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    return 1 if first_failed or second_failed else 0


if __name__ == "__main__":
    sys.exit(main())
