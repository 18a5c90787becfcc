"""The live parts of each page: blocks, each an element with an id, drawn by the page and by the stream alike.

A screen is named by a topic: "pools", or "pool:database". The stream draws a block once for all who
watch, so a block knows nothing of the reader: forms and tokens are drawn only where there is a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from controlplane.dashboard.screens.audit import audit
from controlplane.dashboard.screens.block import Block
from controlplane.dashboard.screens.changes import changes, ledger
from controlplane.dashboard.screens.charts import at_a_glance, chart_of_pool, glance, pool_chart, with_sparks
from controlplane.dashboard.screens.jobs import job
from controlplane.dashboard.screens.logs import blocks_of_log, log
from controlplane.dashboard.screens.ops import blocks_of_op, op
from controlplane.dashboard.screens.overview import overview, rail, rail_counts
from controlplane.dashboard.screens.pools import pool, pools
from controlplane.dashboard.screens.queue import limits, queue, settings
from controlplane.dashboard.screens.runs import (
    blocks_of_run,
    bulk_canceling,
    new_runs,
    run,
    run_list,
    run_list_topic,
    run_table,
    run_topic,
)
from controlplane.dashboard.screens.why import blocks_of_why, why_of
from controlplane.dashboard.screens.workers import workers
from runs.sampling import TOPIC as SAMPLES

__all__ = [
    "RESTLESS", "Block", "NoSuchScreen", "at_a_glance", "blocks_of", "blocks_of_log", "blocks_of_op", "blocks_of_run",
    "blocks_of_why", "bulk_canceling", "chart_of_pool", "is_touched", "ledger", "new_runs", "rail_counts",
    "run_list_topic", "run_table", "run_topic", "with_sparks",
]  # fmt: skip

_SCREENS: dict[str, Callable[[str], list[Block]]] = {
    "rail": rail,
    "overview": overview,
    "runs": run_list,
    "run": run,
    "op": op,
    "log": log,
    "job": job,
    "pools": pools,
    "pool": pool,
    "pool-chart": pool_chart,
    "glance": glance,
    "queue": queue,
    "limits": limits,
    "settings": settings,
    "changes": changes,
    "audit": audit,
    "workers": workers,
    "why": why_of,
}


RESTLESS = frozenset({"rail", "workers"})  # what they show changes without a word


class NoSuchScreen(LookupError):
    """No screen has this topic."""


def blocks_of(topic: str) -> list[Block]:
    """The blocks of a screen. Raises NoSuchScreen, also for a run or a pool that is not there."""
    name, _, argument = topic.partition(":")
    if name not in _SCREENS:
        raise NoSuchScreen(topic)
    try:
        return _SCREENS[name](argument)
    except (LookupError, TypeError) as error:  # TypeError: a filter that there is not
        raise NoSuchScreen(topic) from error


def is_touched(topic: str, changed: Iterable[str]) -> bool:
    """Whether a screen may look different after a change of these things (see `pools.claims.on_change`)."""
    name, _, argument = topic.partition(":")
    match name:
        case "pool":
            return any(thing in (f"gate:pool:{argument}", "changes") for thing in changed)
        case "pools":
            return any(thing.startswith("gate:pool:") for thing in changed)
        case "pool-chart" | "glance":
            return any(thing in (SAMPLES, "changes") for thing in changed)
        case "run" | "why":
            number = argument.partition("/")[0]
            return any(
                not thing.startswith(("log:", "run:", SAMPLES)) or thing.endswith(f":{number}") for thing in changed
            )
        case "log":
            return any(thing in ("runs", f"log:{argument}", f"run:{argument}") for thing in changed)
        case "op":
            return any(thing != SAMPLES for thing in changed)  # a topic does not tell which limits it waits for
        case "runs" | "changes" | "audit":
            return name in changed
        case _:
            return any(not thing.startswith(("log:", SAMPLES)) for thing in changed)
