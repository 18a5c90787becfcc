"""One pass of the clock: leases that ran out, retries that are due, tickets that were lost, lanes left to look at.

Nothing depends on its being quick: a freed slot is given on in the transaction that frees it. The pass
catches what no event tells of. Several clocks at once do no harm: each finding is acted on by a guarded
write at the desk.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from pools import claims
from runs import states, tickets, transitions, workforce
from runs.models import Op

log = logging.getLogger(__name__)

TICKET_IS_LATE = 2.0  # seconds after which an op that was admitted and has not started is looked into
SWEEP_EVERY = 60.0
GAP = 5.0  # seconds between two passes that mean that the machine slept


@dataclass
class Findings:
    """How much a pass found to do."""

    workers: int = 0
    leases: int = 0
    retries: int = 0
    tickets: int = 0
    lanes: int = 0


class Clock:
    """Makes passes. Expires nothing until it and the database have both been up for one whole lease.

    While a laptop slept, or the database was away, nobody could renew: their leases look run out and
    the work may be fine. After a gap, everybody gets one lease's time to renew.
    """

    def __init__(self) -> None:
        self._awake_since = time.time()
        self._last_pass = time.time()
        self._swept = 0.0

    def one_pass(self) -> Findings:
        """Look for what no event tells of, and see to it."""
        now = time.time()
        if not 0 <= now - self._last_pass <= GAP:
            log.warning("%.0f s since the last pass: leases get time to be renewed", now - self._last_pass)
            self._awake_since = now
        self._last_pass = now
        found = Findings()
        found.retries = transitions.retry_due()
        found.tickets = reissue_lost_tickets()
        found.lanes = claims.drain()
        if self._trusts_leases(now):
            found.workers = workforce.dismiss_lapsed()
            found.leases = expire_leases()
        if now - self._swept > SWEEP_EVERY:
            claims.sweep()
            self._swept = now
        return found

    def database_was_away(self) -> None:
        """Told by whoever calls `one_pass` when it raised."""
        self._awake_since = time.time()

    def _trusts_leases(self, now: float) -> bool:
        if now - self._awake_since < settings.LEASE_SECONDS:
            return False
        return claims.server_uptime() >= settings.LEASE_SECONDS


def expire_leases() -> int:
    """Take back the slots of every lease that ran out. Returns how many."""
    expired = 0
    for grant in claims.lapsed():
        with claims.desk() as desk:
            if desk.expire(grant.holder, grant.token):
                expired += 1
                log.warning("%s: its lease ran out; its slots are free", grant.holder)
    return expired


def reissue_lost_tickets() -> int:
    """Issue tickets anew that are gone from Redis: it was away when they were issued, or was emptied since.

    Issued twice is harmless: the second finds the op started. A ticket that a worker lost after taking it
    is found when the op's lease runs out.
    """
    late = claims.clock_time() - timedelta(seconds=TICKET_IS_LATE)
    waiting = Op.objects.filter(state=states.ADMITTED, admitted_at__lt=late).order_by("admitted_at")[:200]
    lost = [
        ticket
        for ticket in (tickets.Ticket(op.pk, op.token or 0, op.queue) for op in waiting)
        if not tickets.is_known(ticket)
    ]
    tickets.issue(lost)
    return len(lost)
