"""Pools: all of them, and one."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from django.urls import reverse

from controlplane.dashboard import audits
from controlplane.dashboard.screens.block import Block
from controlplane.dashboard.screens.changes import changes_of
from pools import pauses
from pools import queries as pool_queries
from pools.models import Hold, Waiter
from pools.queries import PoolView
from runs import deployment, queries
from runs.audit import record


def pools(argument: str = "") -> list[Block]:
    _, stuck, _ = audits.last()
    context = {"pools": pool_queries.pools(), "more": 0, "stuck": audits.stuck_slots(stuck)}
    return [Block("pools", "pools/_table.html", context)]


def pool(argument: str) -> list[Block]:
    key = f"pool:{argument}"
    picture = pool_queries.picture([key], deployment.counted())
    if not picture.gates:
        raise LookupError(argument)
    (found,) = picture.pools
    holds, line = pool_queries.holds(key), pool_queries.line(key)
    names = queries.named([*(hold.holder for hold in holds), *(waiter.holder for waiter in line), found.kept_for])
    stuck = record.stuck_among(holds, names)
    holders = [(hold, names.get(hold.holder), stuck.get(hold.pk)) for hold in holds]
    waiters = [(place, waiter, names.get(waiter.holder)) for place, waiter in enumerate(line, 1)]
    return [
        Block(
            "pool-head",
            "pools/_head.html",
            {
                "pool": found,
                "kept_for": names.get(found.kept_for),
                "mark": pauses.mark(found),
                "now": deployment.beside(picture),
                "stuck": sum(hold.slots for hold in holds if hold.pk in stuck),
            },
        ),
        Block("holders", "pools/_holders.html", {"pool": found, "holders": holders}),
        Block("line", "pools/_line.html", {"pool": found, "waiters": waiters, "mark": _mark(found, holds, line)}),
        changes_of(reverse("pool", args=[argument]), key, most=8),
    ]


def _mark(pool: PoolView, holds: Sequence[Hold], line: Sequence[Waiter]) -> str:
    """Another one when something has changed on which it depends when those in line start."""
    known = (pool.limit, pool.waiting, [hold.pk for hold in holds], [waiter.pk for waiter in line])
    return sha256(repr(known).encode()).hexdigest()[:16]
