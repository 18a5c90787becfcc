"""One limit on one key: a pool of ours against RQ's own `RateLimit`, in the same run.

    python -m tests.bench.rate_limit [--database sqlite]

What a user of RQ would pick for a single limit. Ours has all four controls besides. No-ops at a limit of one with two
workers, and ops of half a second at a limit of four with four; three rounds by turns, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from rq import RateLimit

from tests import servers
from tests.bench import bare, deployment, front, trace, workloads
from tests.bench.front import Figures, Row

ROUNDS, NO_OPS, LONG_OPS = 3, 200, 40
KEY = "bench"

ROWS = [
    Row("ops/s at a limit of one", lambda f: f["ours"]["ops_per_second"]),
    Row("   RQ's RateLimit, ops/s", lambda f: f["theirs"]["ops_per_second"]),
    Row("   times RQ's", lambda f: f["ratio"]["ops_per_second"], least=1.0, digits=2),
    Row("hand-off at a limit of four, p50, ms", lambda f: 1000 * f["ours"]["hand_off"]),
    Row("   RQ's RateLimit, ms", lambda f: 1000 * f["theirs"]["hand_off"]),
    Row("   times RQ's", lambda f: f["ratio"]["hand_off"], most=1.0, digits=2),
]


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, lambda results: front.side_by_side(ROWS, results))


def measure(database: str, options: argparse.Namespace) -> Figures:
    """Ours and theirs by turns."""
    with deployment.opened(database) as opened:
        workloads.prepare()
        rounds = [(_ours(opened), _theirs(opened)) for _ in range(ROUNDS)]
    names = ("ops_per_second", "hand_off")
    return {
        "ours": {name: statistics.median(ours[name] for ours, _ in rounds) for name in names},
        "theirs": {name: statistics.median(theirs[name] for _, theirs in rounds) for name in names},
        "ratio": {name: statistics.median(ours[name] / theirs[name] for ours, theirs in rounds) for name in names},
    }


def _ours(opened: deployment.Deployment) -> Figures:
    with opened.workers(2) as workers:
        workloads.launch_closed("no_ops", NO_OPS // 100)
        workloads.set_limit(1)
        intervals = workloads.until_over(workers, NO_OPS)
    trace.check(intervals, NO_OPS, 1)
    return {
        "ops_per_second": trace.rate(intervals, workloads.WARM_UP),
        "hand_off": workloads.w1(opened)["hand_off_p50"],
    }


def _theirs(opened: deployment.Deployment) -> Figures:
    quick = _limited(opened, "nothing", NO_OPS, limit=1, workers=2)
    long = _limited(opened, "half_a_second", LONG_OPS, limit=4, workers=4)
    return {
        "ops_per_second": trace.rate(quick, workloads.WARM_UP),
        "hand_off": trace.quantile(trace.hand_offs(long, 4), 0.5),
    }


def _limited(opened: deployment.Deployment, job: str, count: int, limit: int, workers: int) -> list[trace.Interval]:
    """What bare RQ's workers make of so many jobs under one key."""
    path, environment = opened.new_trace()
    with bare.workers(opened.redis.url, workers, environment):
        bare.enqueue_limited(opened.redis.url, job, count, RateLimit(KEY, limit))
        servers.wait_for(lambda: workloads.ended(path) == count, "RQ did not end", seconds=120)
    intervals, _ = trace.read(path)
    trace.check(intervals, count, limit)
    return intervals


if __name__ == "__main__":
    sys.exit(main())
