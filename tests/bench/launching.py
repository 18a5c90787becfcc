"""Thousands of runs launched by one command while workers wait: how long it takes, and when the first op runs.

    python -m tests.bench.launching [--runs 10000] [--database sqlite]

`manage.py launch_many`, runs of three no-op ops each, two workers. It fails when not all runs are there in the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

from tests.bench import deployment, front, jobs, trace, workloads
from tests.bench.deployment import ROOT
from tests.bench.front import Figures, Row

ROWS = [
    Row("10 000 runs of 3 ops are launched after, s", lambda f: 10_000 * f["seconds"] / f["runs"], most=60.0),
    Row("   of it CPU of the command, s", lambda f: f["cpu"]),
    Row("   the first op runs after, s", lambda f: f["first"], digits=2),
]


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, lambda results: front.side_by_side(ROWS, results), _options)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=10_000)


def measure(database: str, options: argparse.Namespace) -> Figures:
    """One launch of all."""
    with deployment.opened(database) as opened:
        from runs.models import Run

        workloads.prepare()
        workloads.set_limit(jobs.WIDE)
        lines = opened.folder / "runs.jsonl"
        lines.write_text((json.dumps({"job": "three_no_ops"}) + "\n") * options.runs)
        with opened.workers(2) as workers:
            began, before = time.time(), _cpu_of_commands()
            command = [sys.executable, "manage.py", "launch_many", str(lines)]
            subprocess.run(command, cwd=ROOT, env=workers.environment, check=True, stdout=subprocess.DEVNULL)
            took, used = time.time() - began, _cpu_of_commands() - before
            starts = workloads.started(workers.trace)
        if Run.objects.count() != options.runs:
            raise trace.Broken(f"{Run.objects.count()} of {options.runs} runs were launched")
        if not starts:
            raise trace.Broken("no op ran meanwhile")
    return {"runs": options.runs, "seconds": took, "cpu": used, "first": min(starts) - began}


def _cpu_of_commands() -> float:
    """CPU seconds of the children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
