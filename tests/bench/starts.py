"""W3: runs of one no-op op: how many a second, and how soon the first line of one runs when nothing else goes on.

    python -m tests.bench.starts [--database sqlite]

Four runs at once by the run queue's maximum, four workers; then single runs, launched one after the other while two
workers have nothing to do, against bare RQ's time from an enqueue to the first line in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from tests import servers
from tests.bench import bare, deployment, front, jobs, trace, workloads
from tests.bench.front import Figures, Row

ROUNDS, RUNS, AT_ONCE, SINGLE = 3, 200, 4, 25

ROWS = [
    Row("runs a second, four at once", lambda f: f["runs_per_second"], least=20.0),
    Row("submit to the op's first line, all idle, p50, ms", lambda f: 1000 * f["p50"], most=30.0),
    Row("   p95, ms", lambda f: 1000 * f["p95"]),
    Row("   of it until the launch has returned, p50, ms", lambda f: 1000 * f["launch"]),
    Row("   bare RQ, enqueue to start p50, ms", lambda f: 1000 * f["bare"]["p50"]),
]


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, lambda results: front.side_by_side(ROWS, results))


def measure(database: str, options: argparse.Namespace) -> Figures:
    """Rounds of many runs, then single ones."""
    with deployment.opened(database) as opened:
        workloads.prepare()
        rates = [_many(opened) for _ in range(ROUNDS)]
        waits, launches = _single(opened)
        theirs = workloads.enqueue_to_start_bare(opened)
    return {
        "runs_per_second": statistics.median(rates),
        "p50": trace.quantile(waits, 0.5),
        "p95": trace.quantile(waits, 0.95),
        "launch": trace.quantile(launches, 0.5),
        "bare": theirs,
    }


def _many(opened: deployment.Deployment) -> float:
    """Runs a second, that were queued before the first starts."""
    from runs import run_limits

    with opened.workers(AT_ONCE) as workers:
        run_limits.set_maximum(0, workloads.author())
        workloads.launch_closed("one_no_op", RUNS)
        workloads.set_limit(jobs.WIDE)
        run_limits.set_maximum(AT_ONCE, workloads.author())
        intervals = workloads.until_over(workers, RUNS)
    workloads.prepare()
    trace.check(intervals, RUNS, AT_ONCE)
    return trace.rate(intervals, workloads.WARM_UP)


def _single(opened: deployment.Deployment) -> tuple[list[float], list[float]]:
    """Seconds from a launch to the first line of its op, with all workers idle before; and to the launch's return."""
    from runs import catalog, launch

    waits, launches = [], []
    with opened.workers(2) as workers:
        workloads.set_limit(jobs.WIDE)
        job = launch.find_job(catalog.current(), "one_no_op")
        for number in range(1, SINGLE + 1):
            asked = time.time()
            launch.launch(job, who="bench", door="cli")
            launches.append(time.time() - asked)
            intervals = workloads.until_over(workers, number)
            waits.append(max(interval.start for interval in intervals) - asked)
            bare.wait_until_idle(opened.redis.url, "default", 2)
            servers.wait_for(lambda n=number: workloads.ended(workers.trace) == n, "an op ran again")
    return sorted(waits[5:]), sorted(launches[5:])


if __name__ == "__main__":
    sys.exit(main())
