"""Runs all tests in parts, some side by side: they wait more than they compute.

What uses the database is tested on SQLite and on PostgreSQL, everything else once. `python -m tests.both` shows
each part when it has ended. Exit status 0 if all have passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

AT_ONCE = 3  # on two cores
TABLES = ("store", "web")  # busy with the database, test by test
SCHEDULES = ("conformance", "flat", "property")  # busy with it, too, by long lists of events
PROCESSES = ("acceptance", "chaos", "concurrency", "faults")  # waiting for processes of their own

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """Some folders, tested on one database."""

    database: str
    folders: tuple[str, ...]
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{', '.join(self.folders)} on {self.database}"

    def run(self) -> tuple[int, str, float]:
        """Its exit status, what it said, and the seconds that it took."""
        print(f"Testing {self} …", flush=True)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *self.options, *(f"tests/{folder}" for folder in self.folders)],
            cwd=TESTS.parent,
            env={**os.environ, "SLUICE_TEST_DB": self.database, "PYTHONDONTWRITEBYTECODE": ""},  # compile once for all
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout, time.monotonic() - began


def parts() -> Iterator[Part]:
    """What takes longest comes first; at the end there is enough for each core."""
    yield Part("postgres", TABLES, ("--of-the-database",))
    yield Part("sqlite", others())
    yield Part("postgres", PROCESSES)
    yield Part("sqlite", TABLES)
    yield Part("sqlite", PROCESSES)
    yield Part("sqlite", SCHEDULES)
    yield Part("postgres", SCHEDULES, ("--of-the-database",))


def others() -> tuple[str, ...]:
    """The folders of which nobody said that they depend on the database."""
    found = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
    return tuple(sorted(found - {*TABLES, *SCHEDULES, *PROCESSES}))


def main() -> int:
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(part.run): part for part in parts()}
        for ended in as_completed(running):
            status, said, seconds = ended.result()
            print(f"\n=== {running[ended]}: {seconds:.0f} s\n\n{said}", flush=True)
            failed += [running[ended]] if status else []
    for part in failed:
        print(f"Failed: {part}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
