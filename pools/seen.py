"""Rows as the decision sees them: for who explains it, and for who compares it with what stands written."""

from __future__ import annotations

from pools import claims, rules
from pools.models import Gate, Waiter
from pools.rules import Candidate


def gate(row: Gate) -> rules.Gate:
    """A gate as it stands. Whether it holds somebody back is not looked up."""
    reservation = claims.reservation(row.reserved_for, row.reserved, row.reserved_priority)
    return rules.Gate(
        row.pk, row.kind, row.key, row.label, row.limit, row.in_use, row.paused, reservation=reservation
    )  # fmt: skip


def candidate(row: Waiter) -> Candidate:
    """Somebody in line, or beside it."""
    private = claims.needs_of(row.private)
    return Candidate(row.pk, row.holder, row.lane_id, row.priority, row.since, row.number, private)
