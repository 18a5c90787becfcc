"""The charts of a pool's page and of the overview: they change with the samples, not with what they stand beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from controlplane.dashboard import histories
from controlplane.dashboard.addresses import safe_id
from controlplane.dashboard.screens.block import Block
from pools import queries as pool_queries
from pools.models import Change
from runs.sampling import OPS, POOL, RUNS, SLOTS

FIGURES = {RUNS: "Runs in progress", "queued": "Runs queued", OPS: "Ops waiting", SLOTS: "Slots in use"}


def pool_chart(argument: str) -> list[Block]:
    """The last hour of a pool."""
    since = timezone.now() - timedelta(hours=1)
    return [chart_of_pool(argument, pool_queries.changes_since(since, f"pool:{argument}"))]


def chart_of_pool(name: str, changes: Iterable[Change]) -> Block:
    """The same with its newest changes, of which those of that hour are marked."""
    return Block("pool-chart", "charts/_of_pool.html", {"name": name, "figure": histories.use_of_pool(name, changes)})


def glance(argument: str = "") -> list[Block]:
    """The last day on the overview."""
    lines, sparks = at_a_glance([pool.name for pool in pool_queries.pools()[: pool_queries.MOST_AT_A_GLANCE]])
    return [lines, *sparks.values()]


def at_a_glance(names: Sequence[str]) -> tuple[Block, Mapping[str, Block]]:
    """The chart of who waited, and the sparklines: of the figures, and of these pools by their names."""
    found = histories.at_a_glance(names)
    sparks = {
        f"figure:{name}": _spark(
            f"figure-{name}", title, found.peaks.get(RUNS if name == "queued" else name), found.window
        )
        for name, title in FIGURES.items()
    }
    for name in names:
        sparks[name] = _spark(safe_id(name), name, found.peaks.get(POOL + name), found.hours)
    shown = found.window.range
    return Block(
        "lines", "charts/_lines.html", {"figure": found.lines, "words": shown.words, "range": shown.key}
    ), sparks


def _spark(name: str, title: str, peaks: object, window: object) -> Block:
    looks = {"figure-queued": ("waiting", "queued"), f"figure-{OPS}": ("waiting", "waiting")}
    shows, look = looks.get(name, ("in_use", "used"))
    context = {"title": title, "peaks": peaks, "window": window, "shows": shows, "look": look}
    return Block(f"spark-{name}", "charts/_spark.html", context)


def with_sparks(blocks: Iterable[Block], sparks: Mapping[str, str]) -> list[Block]:
    """The blocks of the overview as a page draws them. The stream draws them without, and leaves those there alone."""
    return [replace(block, context={**block.context, "sparks": sparks}) for block in blocks]
