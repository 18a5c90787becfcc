"""Rows as the decision sees them: for who explains it, and for who compares it with what stands written."""

from __future__ import annotations

from pools import claims, rules
from pools.models import Gate, Waiter
from pools.rules import Candidate, Pause


def gate(row: Gate) -> rules.Gate:
    """A gate as it stands, with why it is paused if it was read with its pool. Whom it holds back is not looked up."""
    pool = row.pool if row.paused and Gate.pool.related.is_cached(row) else None
    pause = Pause(pool.paused_by, pool.paused_until, pool.pause_reason) if pool else None
    reservation = claims.reservation(row.reserved_for, row.reserved, row.reserved_priority)
    return rules.Gate(
        row.pk, row.kind, row.key, row.label, row.limit, row.in_use, row.paused,
        reservation=reservation, pause=pause,
    )  # fmt: skip


def candidate(row: Waiter) -> Candidate:
    """Somebody in line, or beside it."""
    private = claims.needs_of(row.private)
    return Candidate(row.pk, row.holder, row.lane_id, row.priority, row.since, row.number, private)
