"""`python -m tests.bench quick`: what the engine costs, against bare RQ in the same run, on both databases.

`all` measures, after that, each of the benchmarks that stand for themselves, one after the other (see `APART`).

Every figure that has a rival is a ratio of two measurements made one after the other. The run fails when
a limit was exceeded, or an op was lost or ran twice; it does not fail for being slow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

from tests.bench import deployment, front, report, workloads
from tests.bench.trace import Broken

Workload = Callable[[deployment.Deployment], workloads.Figures]

ROUNDS = 3  # of W2, ours and the rival's by turns
# A module each, some with arguments.
APART = [
    "starts",
    "deaths",
    "rate_limit",
    "launching",
    "behind",
    "idle",
    "viewers",
    "pages --runs 100000",
    "pages",
    "relining",
    "scale",
]


def main() -> int:
    """Measure each database in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("suite", choices=["quick", "all"])
    parser.add_argument("--database", choices=report.DATABASES, action="append", help="only this one")
    parser.add_argument("--one", choices=report.DATABASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return _measure_and_hand_over(options.one)
    failed = _quick(options) != 0
    for name in APART if options.suite == "all" else []:
        print(f"\n## {name}\n", flush=True)
        failed |= subprocess.run([sys.executable, "-m", *f"tests.bench.{name}".split()]).returncode != 0
    return int(failed)


def _quick(options: argparse.Namespace) -> int:
    versions = report.versions()
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    results = {}
    for database in front.there_is(options.database or report.DATABASES, versions):
        load, began = os.getloadavg(), time.monotonic()
        child = subprocess.run(
            [sys.executable, "-m", "tests.bench", "quick", "--one", database], stdout=subprocess.PIPE, text=True
        )
        if child.returncode:
            print(f"{database}: failed", file=sys.stderr)
            return 1
        results[database] = json.loads(child.stdout.splitlines()[-1])
        report.keep({"database": database, "versions": versions, "load": load, "figures": results[database]})
        print(f"{database}: {time.monotonic() - began:.0f} s, load average before it {load[0]:.2f}")
    print("\n" + report.table(results))
    print("\nNo limit was exceeded, no op was lost, and none ran twice.")
    return 0


def _measure_and_hand_over(database: str) -> int:
    """In the process of one database: its figures, as the last line of output."""
    try:
        with deployment.opened(database) as opened:
            figures = measure(opened)
    except Broken as broken:
        print(f"{database}: {broken}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


def measure(opened: deployment.Deployment) -> report.Results:
    """All workloads on one deployment, W2 and its rival by turns."""
    workloads.prepare()
    figures: report.Results = {"w2": [], "w2_fresh": [], "w2_bare": []}
    for _ in range(ROUNDS):
        figures["w2_bare"].append(_say(workloads.w2_bare, opened))
        figures["w2"].append(_say(workloads.w2, opened))
        figures["w2_fresh"].append(_say(workloads.w2_fresh, opened))
    w1 = (workloads.w1, workloads.w1_fresh, workloads.w1_bare)
    for workload in (*w1, workloads.enqueue_to_start_bare, workloads.w5, workloads.life):
        figures[workload.__name__] = _say(workload, opened)
    return figures


def _say(
    workload: Callable[[deployment.Deployment], workloads.Figures], opened: deployment.Deployment
) -> report.Results:
    figures = workload(opened)
    print(f"{opened.database} {workload.__name__}: {json.dumps(figures)}", file=sys.stderr)
    return figures


if __name__ == "__main__":
    sys.exit(main())
