"""Tells the pools what to do when a run or an op is admitted or waited for too long, or when an op's lease runs out."""

from __future__ import annotations

from django.conf import settings

from pools import claims, sizing
from runs import granularity, tickets, transitions


def register() -> None:
    """Called once, when Django starts."""
    # Runs hold their gates from start to end, without a lease; starting one puts its root ops in line.
    run = claims.HolderKind(transitions.start_runs, _never, transitions.run_waited_too_long, asks=True)
    op = claims.HolderKind(
        transitions.admit_ops, transitions.op_expired, transitions.op_waited_too_long, lease=settings.LEASE_SECONDS
    )
    claims.register("run", run)
    claims.register("op", op)
    claims.on_change(tickets.announce)
    sizing.on_forgetting(granularity.falls_back)


def _never(desk: claims.Desk, grant: claims.Grant) -> None:
    raise AssertionError(f"{grant.holder} has no lease that could run out")
