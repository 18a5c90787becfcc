"""What more workers bring, on two hosts, and how long one op keeps the admission lock. PostgreSQL only.

    python -m tests.bench.scale [--workers 1 2 4 8] [--rounds 3]

The hosts are network namespaces of this machine (see `hosts`), so that all share its cores: the figures say what
becomes scarce first, not how fast eight real hosts are. It fails when an op was lost or ran twice.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import psycopg

from tests.bench import deployment, hosts, jobs, report, trace, workloads

HOSTS = 2
ALONE = 200  # ops of whose lives the lock's time is taken

Figures = dict[str, Any]


def main() -> int:
    """Measure, print a table, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    load = os.getloadavg()
    with hosts.joined(HOSTS) as far, deployment.opened("postgres", [host.address for host in far]) as opened:
        workloads.prepare()
        rounds = {
            count: [_no_ops(opened, far, count) for _ in range(options.rounds)] for count in sorted(options.workers)
        }
        alone = lock_held(ALONE)
    report.keep({"versions": report.versions(), "load": load, "scale": rounds, "alone": alone})
    print(f"Two hosts, {os.cpu_count()} cores for all, a load average of {load[0]:.1f} before. Medians:\n")
    print("| workers | ops/s | cores busy | of it PostgreSQL | in line for the lock |\n| --- | --- | --- | --- | --- |")
    for count, figures in rounds.items():
        middle = {name: statistics.median(one[name] for one in figures) for name in figures[0]}
        print("| {} | {:.0f} | {:.2f} | {:.2f} | {:.2f} |".format(count, *middle.values()))
    print(f"\nOne op after the other, nobody else at work: {json.dumps(alone)}")
    return 0


def _no_ops(opened: deployment.Deployment, far: list[hosts.Host], count: int) -> Figures:
    """No-ops a second, how many cores were busy meanwhile, and how many workers stood in line for the lock."""
    with opened.workers(count, hosts=far[:count]) as workers:
        workloads.launch_closed("no_ops", workloads.NO_OPS // 100)
        with _InLine(opened) as line:
            before, busy, began = workers.cpu(), _busy(), time.monotonic()
            workloads.set_limit(jobs.WIDE)
            intervals = workloads.until_over(workers, workloads.NO_OPS)
            took = time.monotonic() - began
            cores, database = (_busy() - busy) / took, (workers.cpu()["database"] - before["database"]) / took
    trace.check(intervals, workloads.NO_OPS, count)
    figures = {
        "ops_per_second": trace.rate(intervals, workloads.WARM_UP),
        "cores": cores,
        "database": database,
        "in_line": line.mean,
    }
    print(f"{count} workers: {json.dumps(figures)}", file=sys.stderr)
    return figures


def lock_held(ops: int) -> Figures:
    """Milliseconds of an op's life, under the lock and after it, when nobody else wants it; and what that bounds."""
    from django.db import connection

    from pools import claims
    from runs import transitions, workforce
    from runs.models import Op
    from runs.verdict import Verdict

    connection.close()
    claims.plan_once()  # as in the process of an op
    (worker,) = workforce.enlist("bench", "bench", "default")
    workloads.launch_closed("no_ops", ops // 100)
    workloads.set_limit(1)
    first = Op.objects.get(state="admitted")
    begun = transitions.start(first.pk, first.token or 0, worker.pk, os.getpid())
    held, took, free = [], [], [0.0]

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "pg_logical_emit_message" in sql:  # the first thing after the lock
            free.append(time.perf_counter())
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        while begun is not None:
            taker = transitions.Taker("default", worker.pk, os.getpid(), begun)
            began = time.perf_counter()
            assert transitions.complete(begun.op_id, begun.token, Verdict.success(), taker)
            took.append(time.perf_counter() - began)
            held.append(free[-1] - began)
            begun = taker.begun
    workforce.dismiss([worker.pk])
    middle = statistics.median(held)
    figures = {
        "held_ms": middle * 1000,
        "in_all_ms": statistics.median(took) * 1000,
        "ops_per_second_at_most": 1 / middle,
    }
    return {name: round(value, 2) for name, value in figures.items()}


def _busy() -> float:
    """Seconds of all cores that were not idle, since the machine started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


class _InLine:
    """How many connections wait for the admission lock, on average while it is open."""

    def __init__(self, opened: deployment.Deployment) -> None:
        self._url = opened.environment["DATABASE_URL"]
        self._seen: list[int] = []
        self._over = threading.Event()
        self._looks = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _InLine:
        self._looks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looks.join()

    def _look(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._over.wait(0.02):
                waiting = connection.execute(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                )
                self._seen += [row[0] for row in waiting]

    @property
    def mean(self) -> float:
        return statistics.mean(self._seen) if self._seen else 0.0


if __name__ == "__main__":
    sys.exit(main())
