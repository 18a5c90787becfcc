"""A job: its last runs, the pools that its ops use, its graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from controlplane.dashboard import graph
from controlplane.dashboard.screens.block import Block
from pools import queries as pool_queries
from runs import catalog, plans, queries, states
from runs.models import Run

MOST_RUNS = 30


def job(argument: str) -> list[Block]:
    """A job by its name. Raises LookupError if no job is called so, and no run was."""
    offered = catalog.current().jobs.get(argument)
    history = queries.job_histories([argument], MOST_RUNS)[argument]
    if offered is None:
        if not history:
            raise LookupError(f"No job is called {argument}.")
        return [_history(argument, history)]
    newest = history[0] if history else None
    known = plans.load(newest.plan_id).by_key if newest else {}
    keys = [f"pool:{name}" for name in offered.pools]
    found = {pool.name: pool for pool in pool_queries.picture(keys).pools} if keys else {}
    pools = [(name, found.get(name)) for name in offered.pools]
    return [
        _history(argument, history),
        Block("job-pools", "jobs/_pools.html", {"pools": pools}),
        Block("graph", "runs/_graph.html", {"graph": graph.of_job(offered.plan, newest, known)}),
    ]


def _history(name: str, runs: Sequence[Run]) -> Block:
    return Block("job-history", "jobs/_history.html", {"name": name, "runs": runs[::-1], **_in_numbers(runs)})


def _in_numbers(runs: Sequence[Run]) -> dict[str, Any]:
    """How many of the runs stand in each state, how long those took that succeeded, and the longest of all."""
    took = {run: run.ended_at - run.started_at for run in runs if run.ended_at and run.started_at}
    good = [took[run].total_seconds() for run in runs if run.state == states.SUCCESS and run in took]
    counts = Counter(run.state for run in runs)
    return {
        "counts": [(state, counts[state]) for state in states.RUN_STATES if counts[state]],
        "median": median(good) if good else None,
        "longest": max(took.values(), default=timedelta()).total_seconds(),
    }
