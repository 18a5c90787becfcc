"""Candidates that have waited for as long as they may leave the line."""

from __future__ import annotations

from pools.claims import store
from pools.claims.doors import desk
from pools.claims.kinds import kind_of, number_of
from pools.claims.lock import clock_time

MOST = 200  # candidates looked after in one transaction


def lose_patience() -> int:
    """Let those leave the line who have waited for too long, and tell their kinds. Returns how many."""
    left = 0
    while store.out_of_patience(clock_time(), 1):
        with desk() as at:
            waited_for = {found.holder: at.waited_for(found) for found in store.out_of_patience(at.now, MOST)}
            at.withdraw(list(waited_for))
            for holder, names in waited_for.items():
                kind_of(holder).gave_up(at, number_of(holder), names)
        left += len(waited_for)
    return left
