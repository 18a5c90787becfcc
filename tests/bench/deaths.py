"""W4: an op's process is killed, or its whole host: how long until the next op runs in its slot.

    python -m tests.bench.deaths [--database sqlite]

A pool of one slot, ops of a second that wait for it, two launchers with a worker each: the hosts. A host dies with its
launcher, its worker and the op, all by SIGKILL; its lease has to run out, and no setting is touched. It fails when the
next op begins before the first was killed, or when two ran at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from tests import servers
from tests.bench import bare, deployment, front, trace, workloads
from tests.bench.deployment import Workers
from tests.bench.front import Figures, Row

ROUNDS, HOST_ROUNDS = 5, 2
LEASE = 15.0

ROWS = [
    Row("kill -9 of an op's process: the next op runs after, s, median", lambda f: f["process"], most=1.0, digits=2),
    Row("   at most, s", lambda f: f["process_most"], digits=2),
    Row("kill -9 of launcher, worker and op: after, s, at most", lambda f: f["host_most"], most=LEASE + 1, digits=2),
]


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, lambda results: front.side_by_side(ROWS, results))


def measure(database: str, options: argparse.Namespace) -> Figures:
    """Kill, and wait for the next start, again and again."""
    with deployment.opened(database) as opened:
        workloads.prepare()
        process = [_until_the_next(opened, _kill_process) for _ in range(ROUNDS)]
        host = [_until_the_next(opened, _kill_host) for _ in range(HOST_ROUNDS)]
    return {"process": statistics.median(process), "process_most": max(process), "host_most": max(host)}


def _until_the_next(opened: deployment.Deployment, kill: Callable[[int, Sequence[Workers]], None]) -> float:
    """Seconds from the death of an op that runs to the first line of the next."""
    from runs import transitions
    from runs.models import Run

    own = {"CRASH_RETRIES": "0"}  # who was killed does not come back under the same name
    with opened.workers(1, **own) as one, opened.workers(1, **own) as other:
        bare.wait_until_idle(opened.redis.url, "default", 2)
        traces = (one.trace, other.trace)
        (run_id,) = workloads.launch_closed("seconds", 1)
        workloads.set_limit(1)
        servers.wait_for(lambda: _starts(traces), "no op started")
        before = len(_starts(traces))
        pid = _pid_of_the_running()
        killed = time.time()
        kill(pid, (one, other))
        servers.wait_for(lambda: len(_starts(traces)) > before, "the next op did not start", seconds=60)
        begins = sorted(_starts(traces))[before]
        transitions.cancel_run(run_id, "bench")
        servers.wait_for(lambda: Run.objects.get(pk=run_id).over, "the run did not end", seconds=60)
    ended = [interval for path in traces for interval in trace.read(path)[0]]
    if begins < killed or trace.most_at_once(ended) > 1:
        raise trace.Broken("two ops ran at a limit of one")
    return begins - killed


def _kill_process(pid: int, hosts: Sequence[Workers]) -> None:
    os.kill(pid, signal.SIGKILL)


def _kill_host(pid: int, hosts: Sequence[Workers]) -> None:
    """Kill the launcher that the process descends from, and everything below it, as if by one stroke."""
    ancestors = {parent.pid for parent in psutil.Process(pid).parents()}
    launcher = next(psutil.Process(host.pids[0]) for host in hosts if host.pids[0] in ancestors)
    doomed = [launcher, *launcher.children(recursive=True)]
    for process in doomed:  # nobody sees another one die
        process.suspend()
    for process in doomed:
        process.kill()


def _pid_of_the_running() -> int:
    from runs import present, states

    found: list[int] = []

    def known() -> bool:
        found[:] = [op.pid for op in present.ops_in(states.RUNNING) if op.pid]
        return bool(found)

    servers.wait_for(known, "no op runs")
    return found[0]


def _starts(traces: Sequence[Path]) -> list[float]:
    return [start for path in traces for start in workloads.started(path)]


if __name__ == "__main__":
    sys.exit(main())
