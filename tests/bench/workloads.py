"""The workloads. Each returns its figures, and raises Broken when a limit did not hold or an op was not run once."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import servers
from tests.bench import bare, cpu, jobs, trace
from tests.bench.deployment import Deployment, Workers
from tests.bench.trace import Broken

Figures = dict[str, Any]

WARM_UP = 20  # ops that a rate leaves out, on either side
NO_OPS = 400
PHASES = "tests.bench.phases"  # by its name: it is for the workers alone


def prepare() -> None:
    """Configure the controls that are not written at the job: the run queue's maximum and a rule on run tags."""
    from runs import run_limits
    from runs.tag_limits import TagLimit

    run_limits.set_maximum(10, author())
    run_limits.set_rule(TagLimit("team", 10), author())


def author() -> Any:
    """Who changes limits here."""
    from pools.sizing import Author

    return Author("bench", "cli")


def w1(deployment: Deployment) -> Figures:
    """Use of 4 slots by 40 ops of half a second in 4 runs, with 4 workers; and the time from an end to a start."""
    return _half_seconds(deployment)


def w1_fresh(deployment: Deployment) -> Figures:
    """The same with a fresh process for each op: every hand-off goes through Redis and a fork."""
    return _half_seconds(deployment, KEEP_PROCESS_OPS="1")


def _half_seconds(deployment: Deployment, **settings: str) -> Figures:
    limit = 4
    with deployment.workers(limit, **settings) as workers:
        launch_closed("half_seconds", 4)
        before = workers.cpu()
        set_limit(limit)
        intervals = until_over(workers, 40)
        used = _per_100_ops(before, workers.cpu(), 40)
    trace.check(intervals, 40, limit)
    gaps = trace.hand_offs(intervals, limit)
    return {
        "utilisation": trace.utilisation(intervals, limit),
        "hand_off_p50": trace.quantile(gaps, 0.5),
        "hand_off_p95": trace.quantile(gaps, 0.95),
        "cpu_per_100_ops": used,
    }


def w2(deployment: Deployment) -> Figures:
    """No-op ops a second with two workers and wide limits."""
    return _no_ops(deployment)


def w2_fresh(deployment: Deployment) -> Figures:
    """The same with a fresh process for each op."""
    return _no_ops(deployment, KEEP_PROCESS_OPS="1")


def _no_ops(deployment: Deployment, **settings: str) -> Figures:
    with deployment.workers(2, **settings) as workers:
        launch_closed("no_ops", NO_OPS // 100)
        before = workers.cpu()
        set_limit(jobs.WIDE)
        intervals = until_over(workers, NO_OPS)
        used = _per_100_ops(before, workers.cpu(), NO_OPS)
    trace.check(intervals, NO_OPS, 2)
    return {"ops_per_second": trace.rate(intervals, WARM_UP), "cpu_per_100_ops": used}


def w1_bare(deployment: Deployment) -> Figures:
    """What four of bare RQ's workers make of 40 jobs of half a second: no limit, no database."""
    intervals, used = _bare(deployment, trace.half_a_second, 40, workers=4)
    return {"utilisation": trace.utilisation(intervals, 4), "cpu_per_100_ops": used}


def w2_bare(deployment: Deployment) -> Figures:
    """The same as `w2` by bare RQ: two forking workers, as many no-op jobs."""
    intervals, used = _bare(deployment, trace.nothing, NO_OPS, workers=2)
    return {"ops_per_second": trace.rate(intervals, WARM_UP), "cpu_per_100_ops": used}


def enqueue_to_start_bare(deployment: Deployment) -> Figures:
    """What a hand-off is compared with: bare RQ's time from an enqueue to the first line, its workers idle."""
    path, environment = deployment.new_trace()
    waits = []
    with bare.workers(deployment.redis.url, 2, environment):
        for number in range(25):
            asked = bare.enqueue_one(deployment.redis.url, f"single-{number}")
            servers.wait_for(lambda number=number: ended(path) == number + 1, "bare RQ did not end")
            bare.wait_until_idle(deployment.redis.url, bare.QUEUE, 2)
            waits.append(max(i.start for i in trace.read(path)[0]) - asked)
    waits = sorted(waits[5:])
    return {"p50": trace.quantile(waits, 0.5), "p95": trace.quantile(waits, 0.95)}


def w5(deployment: Deployment) -> Figures:
    """A limit raised from 1 to 4 while 40 ops wait, with 4 workers: seconds until four run."""
    from runs import transitions
    from runs.models import Run

    with deployment.workers(4) as workers:
        (run_id,) = launch_closed("seconds", 1)
        set_limit(1)
        servers.wait_for(lambda: len(started(workers.trace)) == 1, "no op started")
        asked = time.time()
        set_limit(4)
        admitted = time.time()
        servers.wait_for(lambda: len(started(workers.trace)) >= 4, "the raised limit did not start four ops")
        starts = sorted(started(workers.trace))
        transitions.cancel_run(run_id, "bench")
        servers.wait_for(lambda: Run.objects.get(pk=run_id).over, "the run did not end")
        intervals, _ = trace.read(workers.trace)
    if starts[1] < asked:
        raise Broken("two ops ran under a limit of 1")
    trace.check(intervals, len(intervals), 4)
    _check_nothing_is_held()
    return {"admission": admitted - asked, "four_running": starts[3] - asked}


def life(deployment: Deployment) -> Figures:
    """Where an op's time goes, in ms, and how many statements it takes. Two workers, no-ops, a look into each step."""
    with deployment.workers(2, modules=(PHASES,)) as workers:
        launch_closed("no_ops", 2)
        set_limit(jobs.WIDE)
        intervals = until_over(workers, 200)
        lines = [json.loads(line) for line in Path(f"{workers.trace}.phases").read_text().splitlines()[WARM_UP:]]
    steps = {
        step: 1000 * statistics.median(line["seconds"].get(step, 0.0) for line in lines)
        for step in ("op", "connect", "start", "run", "code", "complete", "issue")
    }
    cycle = 2 * 1000 / trace.rate(intervals, WARM_UP)
    counts = [sum(n for verb, n in line["statements"].items() if verb != "BEGIN") for line in lines]
    return {
        "cycle": cycle,
        "connect": steps["connect"],
        "start": steps["start"] - steps["connect"],
        "user_code": steps["code"],
        "log_and_values": steps["run"] - steps["code"],
        "complete": steps["complete"] - steps["issue"],
        "next_ticket": steps["issue"],
        "rq_and_fork": cycle - steps["op"],
        "statements": statistics.median(counts),
    }


# --- ours -------------------------------------------------------------------------------------------


def launch_closed(job: str, runs: int) -> list[int]:
    """Launch runs while the pool lets nobody in, so that all ops stand in line when it opens."""
    from runs import catalog, launch

    set_limit(0)
    wanted = launch.find_job(catalog.current(), job)
    return [launch.launch(wanted, who="bench", door="cli").pk for _ in range(runs)]


def set_limit(limit: int) -> None:
    from pools import sizing

    sizing.set_limit(jobs.POOL, limit, author())


def until_over(workers: Workers, ops: int) -> list[trace.Interval]:
    """Wait until all runs are over, and check by the tables that each op succeeded at its first attempt."""
    from runs import states
    from runs.models import Op, Run

    def over() -> bool:
        return ended(workers.trace) >= ops and not Run.objects.exclude(state__in=states.RUN_TERMINAL).exists()

    servers.wait_for(over, "the runs did not end", seconds=120)
    bad = Op.objects.exclude(state=states.SUCCESS, attempt=1).exclude(state=states.CANCELED)
    if bad.exists():
        raise Broken(f"{bad.count()} ops did not succeed at once, the first: {bad[0].state} {bad[0].error}")
    _check_nothing_is_held()
    return trace.read(workers.trace)[0]


def _check_nothing_is_held() -> None:
    from pools.models import Gate, Hold, Waiter

    left = (Hold.objects.count(), Waiter.objects.count(), Gate.objects.exclude(in_use=0).count())
    if any(left):
        raise Broken("after all runs {} holds, {} waiters and {} gates in use are left".format(*left))


def started(path: Path) -> list[float]:
    """When ops began, in the order in which they said so."""
    lines = path.read_text().splitlines()
    return [float(line.split(" ")[1]) for line in lines if line.startswith("+")]


def ended(path: Path) -> int:
    """How many ops have ended."""
    return sum(line.startswith("-") for line in path.read_text().splitlines())


def _per_100_ops(before: dict[str, float], after: dict[str, float], ops: int) -> dict[str, float]:
    return {name: (after[name] - before[name]) / ops * 100 for name in before}


# --- the rival --------------------------------------------------------------------------------------


def _bare(
    deployment: Deployment, job: Callable[[str], None], jobs: int, workers: int
) -> tuple[list[trace.Interval], dict[str, float]]:
    """What so many of bare RQ's workers make of so many jobs: their trace, and the CPU used."""
    path, environment = deployment.new_trace()
    url = deployment.redis.url
    with bare.workers(url, workers, environment) as pids:
        before = _bare_cpu(deployment, pids)
        bare.enqueue(url, job, [f"job-{number}" for number in range(jobs)])
        servers.wait_for(lambda: ended(path) == jobs, "bare RQ did not end", seconds=60)
        bare.wait_until_idle(url, bare.QUEUE, workers)
        used = _per_100_ops(before, _bare_cpu(deployment, pids), jobs)
    intervals, _ = trace.read(path)
    trace.check(intervals, jobs, workers)
    return intervals, used


def _bare_cpu(deployment: Deployment, pids: list[int]) -> dict[str, float]:
    return {"rq": cpu.seconds(pids), "redis": cpu.seconds(deployment.server_pids["redis"])}
