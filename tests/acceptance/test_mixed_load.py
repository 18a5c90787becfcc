"""Two hundred runs under all four controls, with real workers and live edits: no limit is exceeded at any instant."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pools import sizing
from runs import catalog, granularity, launch, plans, run_limits, states
from runs.models import Op, Run
from runs.tag_limits import TagLimit
from tests import mixed_jobs
from tests.acceptance.conftest import Workers
from tests.builders import ADA
from tests.edits import Limit, Span, broken

RUNS = 200
PATIENCE = 240.0
JOBS = ("pooled", "tagged", "by_run", "alone")
TEAMS = ("core", "growth", "sales")


@pytest.mark.django_db(transaction=True)
def test_no_limit_is_exceeded_no_op_is_lost_and_none_runs_twice(workers: Workers, tmp_path: Path) -> None:
    times = tmp_path / "times"
    chance = random.Random(20261125)
    limits = {
        "database": Limit(lambda n: sizing.set_limit("database", n, ADA), (2, 3, 4)),
        "api": Limit(lambda n: sizing.set_limit("api", n, ADA), (0, 1, 2)),
        "license": Limit(lambda n: sizing.set_limit("license", n, ADA), (1, 2, 3)),
        "runs": Limit(lambda n: run_limits.set_maximum(n, ADA), (3, 6, 9)),
        "each team": Limit(lambda n: run_limits.set_rule(TagLimit("team", n, per_value=True), ADA), (1, 2, 3)),
        "team=core": Limit(lambda n: run_limits.set_rule(TagLimit("team", n, value="core"), ADA), (0, 1, 2)),
    }
    for limit in limits.values():
        limit.open()
    granularity.set_for_pool("license", "run", ADA)
    loaded = catalog.load([mixed_jobs.__name__])
    assert not loaded.problems
    workers(4, mixed_jobs.__name__, MIXED_TIMES=str(times))

    runs = [
        launch.launch(
            launch.find_job(loaded, JOBS[number % len(JOBS)]),
            who="ada",
            door="cli",
            tags={"team": chance.choice(TEAMS)},
            priority=chance.choice((0, 0, 0, 5)),
        )
        for number in range(RUNS)
    ]
    unfinished = Run.objects.exclude(state__in=states.RUN_TERMINAL)
    deadline = time.monotonic() + PATIENCE
    while unfinished.exists():
        assert time.monotonic() < deadline, f"{unfinished.count()} runs did not end"
        chance.choice(list(limits.values())).edit(chance)
        if chance.random() < 0.1:  # nothing may stay closed for long
            for limit in limits.values():
                limit.open()
        time.sleep(0.05)  # between two edits: a person needs longer

    assert set(Run.objects.values_list("state", flat=True)) == {states.SUCCESS}
    assert Run.objects.count() == len(runs) == RUNS
    ops = list(Op.objects.select_related("run"))
    assert {(op.state, op.attempt) for op in ops} == {(states.SUCCESS, 1)}
    _check_own_times(ops, times)
    weights = {op.pk: plans.load(op.run.plan_id).by_key[op.key].pools for op in ops}
    for pool in ("database", "api"):
        _check([(*_span(op), weights[op.pk][pool]) for op in ops if pool in weights[op.pk]], limits[pool].at, pool)
    all_runs = list(Run.objects.all())
    _check([(*_lasted(run), 1) for run in all_runs if run.job == "by_run"], limits["license"].at, "license")
    _check([(*_lasted(run), 1) for run in all_runs], limits["runs"].at, "runs")
    for team in TEAMS:
        of_team = [(*_lasted(run), 1) for run in all_runs if run.tags["team"] == team]
        _check(of_team, limits["each team"].at, f"each team: {team}")
        if team == "core":
            _check(of_team, limits["team=core"].at, "team=core")
    within: dict[int, list[Op]] = defaultdict(list)
    for op in ops:
        within[op.run_id].append(op)
    most = {"pooled": 2, "tagged": 1, "alone": 1}
    for fellows in within.values():
        if bound := most.get(fellows[0].run.job):
            _check([(*_span(op), 1) for op in fellows], lambda _, bound=bound: bound, f"within {fellows[0].run}")


def _check_own_times(ops: list[Op], file: Path) -> None:
    """Each op ran once, and its own times lie within those in which it held its slots."""
    own: dict[tuple[str, str], dict[str, datetime]] = defaultdict(dict)
    for line in file.read_text().splitlines():
        run, key, what, at = line.split()
        assert what not in own[run, key], f"{key} of {run} {what} twice"
        own[run, key][what] = datetime.fromtimestamp(float(at), UTC)
    assert len(own) == len(ops)
    for op in ops:
        said = own[op.run.uid, op.key]
        begin, end = _span(op)
        assert begin <= said["begins"] <= said["ends"] <= end, f"{op} ran outside of what it held"


def _check(spans: list[Span], limit: Callable[[datetime], int], name: str) -> None:
    assert spans
    assert broken(spans, limit) == [], name


def _span(op: Op) -> tuple[datetime, datetime]:
    assert op.admitted_at is not None
    assert op.ended_at is not None
    return op.admitted_at, op.ended_at


def _lasted(run: Run) -> tuple[datetime, datetime]:
    assert run.started_at is not None
    assert run.ended_at is not None
    return run.started_at, run.ended_at
