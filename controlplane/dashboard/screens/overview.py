"""The rail beside every page, and the overview."""

from __future__ import annotations

from functools import partial
from typing import Any

from controlplane.dashboard import audits, verdict
from controlplane.dashboard.screens.block import Block
from pools import explain
from pools import queries as pool_queries
from pools.queries import MOST_AT_A_GLANCE
from runs import catalog, deployment
from runs.deployment import Now

SILENT = "silent"  # beside the counts: since when the clock says nothing


def rail_counts(now: Now | None = None) -> dict[str, Any]:
    """The counts beside the navigation, and whether the clock is silent."""
    now = now or deployment.now()
    return {
        "runs": now.progress or "",
        "queue": pool_queries.counted(now.queued) if now.queued else "",
        "pools": pool_queries.counted(now.waiting) if now.waiting else "",
        "audit": now.drift or "",
        "failures": now.failed or "",
        SILENT: now.silent_since,
    }


def rail(argument: str = "") -> list[Block]:
    counts = rail_counts()
    silence = Block("clock", "_clock.html", {"silent": counts.pop(SILENT)})
    counted = [Block(f"count-{name}", "_count.html", {"name": name, "count": count}) for name, count in counts.items()]
    return [*counted, silence]


def overview(argument: str = "") -> list[Block]:
    picture = pool_queries.picture(also=deployment.counted())
    now = deployment.beside(picture)
    pools, workers = picture.pools, deployment.worker_queues(picture.of("workers"))
    longest = verdict.longest_line(pools)
    ahead = deployment.ahead(longest.name if longest else "", picture)
    full = [gate.label for gate in picture.of("run_tag") if gate.line]  # type: ignore[attr-defined]
    last, stuck, _ = audits.last() if now.drift else audits.NONE
    at_nobody = audits.held_by_nobody(stuck)
    one_slot_helps = partial(explain.needs_one_slot, ahead.first_at_pool)
    sentence = verdict.of(pools, now, workers, full, one_slot_helps, at_nobody)
    figures = {
        "now": now,
        "waiting": pool_queries.counted(now.waiting),
        "in_use": sum(pool.in_use for pool in pools),
        "slots": sum(pool.limit or 0 for pool in pools),
        "full": sum(pool.full for pool in pools),
        "pools": pools,
        "alive": sum(queue.alive for queue in workers),
        "busy": sum(queue.busy for queue in workers),
    }
    return [
        Block("verdict", "overview/_verdict.html", {"verdict": sentence}),
        Block(
            "needs-a-person",
            "overview/_needs_a_person.html",
            {
                "failures": ahead.failures,
                "paused": [pool for pool in pools if pool.paused],
                "problems": catalog.current().problems,
                "lonely": [queue for queue in workers if queue.waiting and not queue.alive],
                "audit": last,
                "stuck": stuck,
            },
        ),
        Block("figures", "overview/_figures.html", figures),
        Block(
            "pools",
            "pools/_table.html",
            {
                "pools": pools[:MOST_AT_A_GLANCE],
                "more": max(0, len(pools) - MOST_AT_A_GLANCE),
                "glance": True,
                "stuck": audits.stuck_slots(stuck),
            },
        ),
        Block("next", "overview/_next.html", {"queued": ahead.queued, "total": now.queued}),
    ]
