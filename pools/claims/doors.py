"""The doors to the desk: open it, go on until nothing is left to look at, renew leases, find lapsed ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

from pools.claims import store
from pools.claims.desk import Desk
from pools.claims.kinds import Grant
from pools.claims.lock import admission_lock, clock_time, rows, stamp, turn

log = logging.getLogger(__name__)


@contextmanager
def desk() -> Iterator[Desk]:
    """Open a desk in a transaction of its own, under the admission lock.

    On leaving, whoever fits is admitted and their holders are told, in the same transaction. An exception
    undoes everything. What one transaction did not get to look at is done in further ones at once; if that
    fails it is left to the clock, as the caller's transaction did not.
    Raises RuntimeError inside another transaction: the lock comes first.
    """
    with admission_lock() as now:
        open_desk = Desk(now)
        yield open_desk
        open_desk.close()
    if open_desk.left_dirty:
        try:
            drain()
        except Exception:
            log.exception("lanes are left to the clock")
            connection.close_if_unusable_or_obsolete()


def drain() -> int:
    """Look at lanes that were left dirty, in short transactions, until none is. Returns how many it took.

    Every transaction looks at new heads, and a head looked at is admitted, parked or steps aside: it ends.
    """
    transactions = 0
    while rows("SELECT 1 FROM pools_lane WHERE dirty LIMIT 1"):
        transactions += 1
        with admission_lock() as now:
            Desk(now).close()
    return transactions


def renew(grants: Sequence[Grant], lease: float) -> set[str]:
    """Extend the leases of these grants to `lease` seconds from now, by the database's clock.

    Returns the holders that were renewed. Whoever is missing holds nothing under that token any more and
    must stop its work. One statement, without the admission lock: it changes nobody's place.
    """
    if not grants:
        return set()
    with turn():
        return store.renew([(grant.holder, grant.token) for grant in grants], lease)


def lapsed() -> list[Grant]:
    """The grants whose lease has run out, oldest first. Expire them one by one at a desk."""
    found = rows(
        "SELECT holder, token, min(lease_until) AS lapsed_at FROM pools_hold WHERE lease_until < %s"
        " GROUP BY holder, token ORDER BY lapsed_at, holder",
        [stamp(clock_time())],
    )
    return [Grant(holder, token) for holder, token, _ in found]


def sweep() -> int:
    """Remove lanes in which nobody waits, so that lanes of values seen once don't pile up. Returns how many."""
    with admission_lock():
        empty = store.empty_lanes(most=500)
        store.delete_lanes(empty)
    return len(empty)
