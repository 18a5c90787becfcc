"""How long it takes to move a long queue to other lanes, and how long that keeps everybody else waiting.

    python -m tests.bench.relining [--runs 100000] [--database sqlite]

A rule that counts each team is added, then deleted; then a pool that every job uses is switched to granularity `run`.
Meanwhile somebody else changes the priority of a waiting run again and again, as any verb would have to: its longest
wait is what the others notice. No part of a verdict; it fails when the audit finds anything at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.bench import deployment, jobs, report

TEAMS = 50
AT_ONCE = 2000  # rows born in one statement
PAUSE = 0.02  # seconds between two verbs of the bystander

Figures = dict[str, float]


def main() -> int:
    """Measure each database in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.relining", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--database", choices=report.DATABASES, action="append")
    parser.add_argument("--one", choices=report.DATABASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with deployment.opened(options.one):
            print(json.dumps(measure(options.runs)))
        return 0
    for database in options.database or report.DATABASES:
        load = os.getloadavg()
        command = [sys.executable, "-m", __spec__.name, "--runs", str(options.runs), "--one", database]
        figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        report.keep({"database": database, "load": load, "relining": figures})
        print(f"{database}, {options.runs} queued runs, a load average of {load[0]:.1f} before:")
        for change, found in figures.items():
            print(f"   {change:8}" + ", ".join(f"{name} {value:.3f} s" for name, value in found.items()))
    return 0


def measure(runs: int) -> dict[str, Figures]:
    """The figures of each change, in seconds."""
    from pools.sizing import Author
    from runs import granularity, run_limits
    from runs.audit import looking
    from runs.models import TagRule
    from runs.tag_limits import TagLimit

    author = Author("bench", "cli")
    run_limits.set_maximum(0, author)
    bystander = queue(runs)
    each_team = TagLimit("team", 3, per_value=True)
    figures = {"add": _watched(bystander, lambda: run_limits.set_rule(each_team, author))}
    rule = TagRule.objects.get()
    figures["delete"] = _watched(bystander, lambda: run_limits.delete_rule(rule.pk, author))
    figures["switch"] = _watched(bystander, lambda: granularity.set_for_pool(jobs.POOL, "run", author))
    found = looking.look().certain
    assert not found, [finding.text for finding in found[:5]]
    return figures


def queue(runs: int) -> int:
    """So many queued runs of one op and as many teams as there are; returns the id of one more.

    The first are launched; the others are born as their copies, as launching them all would take ten times as long.
    """
    from runs import catalog, launch

    job = launch.find_job(catalog.current(), "one_no_op")
    first = [launch.launch(job, who="bench", door="cli", tags={"team": f"team-{n}"}) for n in range(TEAMS)]
    for start in range(0, runs - TEAMS, AT_ONCE):
        _copy([first[n % TEAMS] for n in range(start, min(start + AT_ONCE, runs - TEAMS))])
    return launch.launch(job, who="bench", door="cli").pk


def _copy(originals: list[Any]) -> None:
    import uuid

    from django.db import transaction

    from pools.models import Waiter
    from runs.models import Op, Run, RunTag
    from runs.transitions import run_holder

    ops = {op.run_id: op for op in Op.objects.filter(run__in={run.pk for run in originals})}
    waiters = {waiter.number: waiter for waiter in Waiter.objects.filter(holder__startswith="run:", number__in=ops)}

    def again(row: Any, **changed: Any) -> Any:
        values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields[1:]}
        return type(row)(**{**values, **changed})

    with transaction.atomic():
        born = Run.objects.bulk_create([again(run, uid=uuid.uuid4().hex) for run in originals])
        RunTag.objects.bulk_create([RunTag(run=run, key=key, value=run.tags[key]) for run in born for key in run.tags])
        pairs = list(zip(born, originals, strict=True))
        Op.objects.bulk_create([again(ops[original.pk], run_id=run.pk) for run, original in pairs])
        Waiter.objects.bulk_create(
            [again(waiters[original.pk], holder=run_holder(run.pk), number=run.pk) for run, original in pairs]
        )


def _watched(run_id: int, change: Callable[[], object]) -> Figures:
    """How long a change takes, and how long a verb of somebody else takes at most and usually while it goes on."""
    from tests.processes import Forked

    read, write = os.pipe()
    os.set_blocking(read, False)

    def somebody_else() -> list[float]:
        from runs import transitions

        os.close(write)
        took = []
        while not _is_closed(read):
            began = time.monotonic()
            transitions.set_priority(run_id, len(took) % 5)
            took.append(time.monotonic() - began)
            time.sleep(PAUSE)
        return took

    bystander = Forked(somebody_else)
    time.sleep(0.5)  # it is at it
    began = time.monotonic()
    change()
    seconds = time.monotonic() - began
    os.close(write)
    os.close(read)
    took = bystander.result()
    return {"in all": seconds, "others wait at most": max(took), "usually": statistics.median(took)}


def _is_closed(read: int) -> bool:
    try:
        return os.read(read, 1) == b""
    except BlockingIOError:
        return False


if __name__ == "__main__":
    sys.exit(main())
