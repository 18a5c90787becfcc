"""What the benchmarks that stand for themselves have in common: a command line, a process for each database, a table.

    python -m tests.bench.idle [--database sqlite]

A benchmark measures in a child process, which hands its figures over as the last line of its output. They are kept as a
line of JSON, and printed as a Markdown table with the load before, and what was aimed at where there is an aim.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench import report
from tests.bench.trace import Broken

Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of a table. `most`, `least`: what is aimed at, by database or for both; missing it is said, no error."""

    name: str
    value: Callable[[Figures], float | str]
    most: float | dict[str, float] | None = None
    least: float | dict[str, float] | None = None
    digits: int = 1

    def target(self, database: str) -> str:
        """What is aimed at, as it is written; empty if nothing is."""
        most, least = _of(self.most, database), _of(self.least, database)
        return f"≤ {most:g}" if most is not None else f"≥ {least:g}" if least is not None else ""

    def cell(self, figures: Figures, database: str) -> str:
        """What came out, marked where it misses what was aimed at."""
        found = self.value(figures)
        if isinstance(found, str):
            return found
        most, least = _of(self.most, database), _of(self.least, database)
        missed = (most is not None and found > most) or (least is not None and found < least)
        return f"{found:.{self.digits}f}" + (" **missed**" if missed else "")


def run(
    name: str,
    about: str,
    measure: Callable[[str, argparse.Namespace], Figures],
    table: Callable[[dict[str, Figures]], str],
    arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> int:
    """The `main` of a benchmark: measure each database, keep the figures, print a table. Returns the exit status.

    `name`: the module's; `measure`: called in a process of its own with a database's kind and the options.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("--database", choices=report.DATABASES, action="append", help="only this one")
    parser.add_argument("--one", choices=report.DATABASES, help=argparse.SUPPRESS)
    arguments(parser)
    options = parser.parse_args()
    if options.one:
        return _hand_over(options.one, measure, options)
    versions, results = report.versions(), {}
    for database in there_is(options.database or report.DATABASES, versions):
        load, began = os.getloadavg(), time.monotonic()
        command = [sys.executable, "-m", name, "--one", database, *sys.argv[1:]]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if child.returncode:
            print(f"{name}, {database}: failed", file=sys.stderr)
            return 1
        results[database] = json.loads(child.stdout.splitlines()[-1])
        short = name.rpartition(".")[2]
        report.keep({"database": database, "versions": versions, "load": load, short: results[database]}, short)
        print(f"{short}, {database}: {time.monotonic() - began:.0f} s, a load average of {load[0]:.1f} before")
    print(f"\n{table(results)}\n")
    return 0


def there_is(databases: list[str] | tuple[str, ...], versions: dict[str, str]) -> list[str]:
    """Those of the databases that can be measured here."""
    if versions["PostgreSQL"] == report.NONE and "postgres" in databases:
        print("There is no PostgreSQL here: it is left out.")
        return [database for database in databases if database != "postgres"]
    return list(databases)


def _hand_over(database: str, measure: Callable[[str, argparse.Namespace], Figures], options: Any) -> int:
    try:
        figures = measure(database, options)
    except Broken as broken:
        print(f"{database}: {broken}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


def side_by_side(rows: list[Row], results: dict[str, Figures]) -> str:
    """A Markdown table of rows, with two columns for each database: what was aimed at, what came out."""
    head = ["", *(f"{database}: target | came out" for database in results)]
    lines = [f"| {' | '.join(head)} |", "| --- " * (1 + 2 * len(results)) + "|"]
    for row in rows:
        cells = [f"{row.target(database)} | {row.cell(found, database)}" for database, found in results.items()]
        lines.append(f"| {' | '.join([row.name, *cells])} |")
    return "\n".join(lines)


def _of(target: float | dict[str, float] | None, database: str) -> float | None:
    return target.get(database) if isinstance(target, dict) else target
