"""What an op's life costs, and a run's, behind a long backlog: CPU seconds, ours and the database's.

    python -m tests.bench.behind [--backlog 1000 10000 100000] [--over 1000000] [--database sqlite]

A life is a completion that admits the next in line, and its start, one after the other in this process, by the verbs
that a worker calls. The line is the measured ops' own, and behind them ever more: ops of other runs that wait for the
same pool, for a full one, and for their executors; queued runs behind a rule on a tag and one for each of its values.
In the end so many rows of runs that are over are put below. Each figure is the median of three rounds; a ratio is to
the first, with nobody else there. It fails when an op was lost, when the wrong one came next, or when the audit finds
anything: a limit that was exceeded among it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from typing import Any

from tests.bench import cpu, deployment, front, trace
from tests.bench.front import Figures

ROUNDS, LIVES = 3, 100
ROWS_OF_A_RUN = 4  # a run, its op, its two tags
FIRST = 1_000_000  # the priority of what is measured
TENANTS = 50
AIM = 1.3


def main() -> int:
    return front.run(__spec__.name, __doc__ or "", measure, table, _options)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backlog", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--over", type=int, default=1_000_000, help="rows of runs that are over")


def measure(database: str, options: argparse.Namespace) -> Figures:
    """The CPU seconds of a life, behind each backlog."""
    with deployment.opened(database) as opened:
        from runs.audit import looking
        from tests import backlog

        world = _World(opened.server_pids["database"])
        stages = [("nobody", world.lives())]
        there = 0
        for count in options.backlog:
            world.add(count - there)
            there = count
            stages.append((f"{count} ops and {count} queued runs", world.lives()))
        if options.over:
            world.add_over(options.over // ROWS_OF_A_RUN)
            stages.append((f"the same, above {options.over} rows of runs that are over", world.lives()))
        backlog.settle()
        found = looking.look().certain
        if found:
            raise trace.Broken(f"the audit finds {len(found)}: {found[0].text}")
    return {"stages": stages}


class _World:
    """Pools and a run queue that let one in at a time, and those who wait behind what is measured.

    The runs that are measured have a pool of their own: a slot that is free goes to an op that waits, before the next
    run starts whose op would want it.
    """

    def __init__(self, database: list[int]) -> None:
        from runs import run_limits, workforce
        from tests import builders as a

        self._database = database
        self._small = a.job(a.op("only", pool="slots"), name="small")
        self._alone = a.job(a.op("only", pool="alone"), name="alone")
        self._large = a.job(
            *[a.op(f"op_{n}", pool="slots" if n % 2 else "full") for n in range(10)], name="large", max_concurrent=4
        )
        self._many = a.job(*[a.op(f"op_{n}", pool="slots") for n in range(LIVES)], name="many")
        a.pool("slots", 0)
        a.pool("full", 0)
        a.pool("alone", 0)
        a.tag_rule("team", 2, "growth")
        a.tag_rule("tenant", 3, per_value=True)
        run_limits.set_maximum(0, a.ADA)
        _check_pools_at_queue(False)
        (self._worker,) = workforce.enlist("bench", "bench", "default")

    def lives(self) -> Figures:
        """CPU seconds of an op's life and of a run's, and of the database among them."""
        rounds = [(self._ops(), self._runs()) for _ in range(ROUNDS)]
        figures = {name: statistics.median(one[place] for one in rounds) for place, name in enumerate(("op", "run"))}
        print(json.dumps(figures | {"load": os.getloadavg()[0]}), file=sys.stderr)
        return figures

    def add(self, count: int) -> None:
        """So many more ops that wait in runs in progress, and queued runs."""
        from runs import run_limits
        from tests import backlog
        from tests import builders as a

        of_ten = [a.launched_run(self._large, priority=FIRST // 2) for _ in range(10)]
        run_limits.set_maximum(self._maximum() + 10, a.ADA)
        _check_pools_at_queue(True)  # so that no queued run starts ...
        run_limits.set_maximum(-1, a.ADA)  # ... while there is room for copies of those in progress
        if count > 100:
            backlog.copy(of_ten[0], of_ten[-1], count // 100 - 1)
        run_limits.set_maximum(self._maximum(), a.ADA)
        _check_pools_at_queue(False)
        runs = [
            a.launched_run(self._small, tags={"tenant": f"t-{n}", "team": "growth" if n % 2 else "core"})
            for n in range(TENANTS)
        ]
        if count > TENANTS:
            backlog.copy(runs[0], runs[-1], count // TENANTS - 1)
        backlog.settle()

    def add_over(self, count: int) -> None:
        """So many runs that are over."""
        from runs.models import Run
        from tests import backlog

        over = Run.objects.filter(job="alone").earliest("id")
        backlog.copy(over, over, count)
        backlog.settle()

    def _maximum(self) -> int:
        """As many runs as are in progress: no other starts."""
        from runs import states
        from runs.models import Run

        return Run.objects.filter(state__in=states.RUN_IN_PROGRESS).count()

    def _ops(self) -> float:
        from runs import run_limits
        from tests import builders as a

        maximum = self._maximum()
        run = a.launched_run(self._many, priority=FIRST)
        run_limits.set_maximum(maximum + 1, a.ADA)
        seconds = self._carry_out([run.pk], "slots")
        run_limits.set_maximum(maximum, a.ADA)
        _check_pools_at_queue(False)
        return seconds

    def _runs(self) -> float:
        from runs import run_limits
        from tests import builders as a

        maximum = self._maximum()
        runs = [
            a.launched_run(self._alone, priority=FIRST, tags={"tenant": f"t-{n % TENANTS}", "team": "core"})
            for n in range(LIVES)
        ]
        run_limits.set_maximum(maximum + 1, a.ADA)
        seconds = self._carry_out([run.pk for run in runs], "alone")
        run_limits.set_maximum(maximum, a.ADA)
        _check_pools_at_queue(False)
        return seconds

    def _carry_out(self, runs: list[int], pool: str) -> float:
        """Let the ops of these runs live, one after the other, in a pool of one slot. Returns a life's CPU seconds."""
        from runs import states, transitions
        from runs.models import Op
        from runs.verdict import Verdict
        from tests import builders as a

        a.pool(pool, 1)
        _check_pools_at_queue(True)
        before, begun = self._cpu(), self._start_admitted()
        for number in range(LIVES):
            if begun is None or begun.run_id not in runs:
                raise trace.Broken(f"after {number} lives the next in line did not start")
            is_last = number == LIVES - 1
            taker = None if is_last else transitions.Taker("default", self._worker.pk, os.getpid(), begun)
            if is_last:
                a.pool(pool, 0)  # those behind stay where they are
            if not transitions.complete(begun.op_id, begun.token, Verdict.success(), taker):
                raise trace.Broken("an op was lost")
            begun = (taker.begun if taker else None) or self._start_admitted()
        seconds = (self._cpu() - before) / LIVES
        done = Op.objects.filter(run__in=runs, state=states.SUCCESS).count()
        if done != LIVES:
            raise trace.Broken(f"{done} of {LIVES} ops ran")
        return seconds

    def _start_admitted(self) -> Any:
        from runs import present, states, transitions

        admitted = present.ops_in(states.ADMITTED).first()
        return transitions.start(admitted.pk, admitted.token or 0, self._worker.pk, os.getpid()) if admitted else None

    def _cpu(self) -> float:
        return time.process_time() + cpu.seconds(self._database)


def _check_pools_at_queue(checked: bool) -> None:
    from pools import sizing
    from tests import builders as a

    sizing.set_check_at_queue(checked, a.ADA)


def table(results: dict[str, Figures]) -> str:
    """A line for each backlog: milliseconds of CPU, and times the first."""
    heads = [f"{database}: {what} life, CPU ms (ratio)" for database in results for what in ("an op's", "a run's")]
    lines = [f"| behind what is measured | {' | '.join(heads)} |", "| --- |" + " --: |" * len(heads)]
    for number, (name, _) in enumerate(next(iter(results.values()))["stages"]):
        cells = []
        for found in results.values():
            first, here = found["stages"][0][1], found["stages"][number][1]
            for what in ("op", "run"):
                ratio = here[what] / first[what]
                cells.append(f"{1000 * here[what]:.1f} ({ratio:.2f}{' **missed**' * (ratio > AIM)})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
