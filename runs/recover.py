"""One pass of the clock: leases that ran out, retries and ends of pauses that are due, lost tickets, lanes left to see,
queued runs left to move, what waited or took for too long, reservations for who was overtaken; samples for the charts,
and an audit at times.

Nothing depends on its being quick: a freed slot is given on in the transaction that frees it. The pass
catches what no event tells of. Several clocks at once do no harm: each finding is acted on by a guarded
write at the desk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from django.conf import settings

from pools import claims, pauses
from pools.claims import Grant
from runs import bulk_cancel, reexecution, relining, retention, sampling, states, tickets, transitions, workforce
from runs.audit.rounds import Rounds
from runs.models import Op
from runs.sampling import Sampler

log = logging.getLogger(__name__)

T = TypeVar("T")

TICKET_IS_LATE = 2.0  # seconds after which an op that was admitted and has not started is looked into
SWEEP_EVERY = 60.0
A_MOMENT = 0.5  # seconds of a pass for what may take long: leases and retries don't wait for it
RESERVE_EVERY = 5.0
GAP = 5.0  # seconds between two looks at the time that mean that the machine slept, or the database hung


@dataclass
class Findings:
    """How much a pass found to do."""

    workers: int = 0
    leases: int = 0
    retries: int = 0
    runs: int = 0  # that are executed again
    given_up: int = 0  # what waited or took for too long
    tickets: int = 0
    pauses: int = 0  # that have ended
    lanes: int = 0
    moved: int = 0  # transactions that moved queued runs to other lanes
    canceled: int = 0  # transactions that canceled runs of a filter


class Clock:
    """Makes passes. Expires nothing until it and the database have both been up for one whole lease.

    While a laptop slept, or the database was away or hung, nobody could renew: their leases look run out and
    the work may be fine. After a gap, everybody gets one lease's time to renew.
    """

    def __init__(self) -> None:
        self._awake_since = time.time()
        self._last_look = time.time()
        self._swept = 0.0
        self._reserved = 0.0
        self._rounds = Rounds()
        self._sampler = Sampler()

    def one_pass(self) -> Findings:
        """Look for what no event tells of, and see to it: what others wait for first, what takes long for a moment."""
        self._notice_a_gap()
        found = Findings()
        found.workers, found.leases = _safely(self._expire, (0, 0))
        found.retries = _safely(transitions.retry_due, 0)
        found.given_up = _safely(claims.lose_patience, 0) + _safely(transitions.stop_overdue, 0)
        found.tickets = _safely(reissue_lost_tickets, 0)
        found.pauses = _safely(pauses.end_due, 0)
        found.runs = _safely(reexecution.retry_due, 0)
        found.lanes = _safely(claims.drain, 0)
        found.moved = _safely(lambda: relining.finish(_for(A_MOMENT)), 0)
        found.canceled = _safely(lambda: bulk_cancel.finish(_for(A_MOMENT)), 0)
        if self._last_look - self._reserved > RESERVE_EVERY:
            _safely(lambda: claims.reserve(settings.RESERVE_AFTER), "")
            self._reserved = self._last_look
        if self._last_look - self._swept > SWEEP_EVERY:
            _safely(claims.sweep, 0)
            _safely(lambda: retention.prune(_for(A_MOMENT)), None)
            _safely(lambda: sampling.prune(_for(A_MOMENT)), 0)
            self._swept = self._last_look
        _safely(lambda: self._sampler.look(_for(A_MOMENT)), False)
        _safely(self._rounds.step, False)
        return found

    def _expire(self) -> tuple[int, int]:
        """Count out workers that were silent for too long, then take back the slots of leases that ran out."""
        silent, lapsed = workforce.lapsed(), claims.lapsed()
        if not ((silent or lapsed) and self._trusts_leases()):
            return 0, 0
        return workforce.dismiss_lapsed(silent), expire_leases(lapsed)

    def database_was_away(self) -> None:
        """Told by whoever calls `one_pass` when it raised."""
        self._awake_since = time.time()

    def _trusts_leases(self) -> bool:
        """Whether what looks run out has. Asked once it was found: the database may have hung until then."""
        database_is_up = claims.server_uptime() >= settings.LEASE_SECONDS
        self._notice_a_gap()
        return database_is_up and self._last_look - self._awake_since >= settings.LEASE_SECONDS

    def _notice_a_gap(self) -> None:
        now = time.time()
        if not 0 <= now - self._last_look <= GAP:
            log.warning("%.0f s since the last look: leases get time to be renewed", now - self._last_look)
            self._awake_since = now
        self._last_look = now


def _safely(duty: Callable[[], T], nothing: T) -> T:
    """Do a duty of the clock. One that fails, for whatever reason of its own, is no reason to leave the others."""
    try:
        return duty()
    except claims.AWAY:
        raise
    except Exception:
        log.exception("a duty of the clock failed; it goes on with the others")
        return nothing


def _for(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since now."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def expire_leases(lapsed: Sequence[Grant] | None = None) -> int:
    """Take back the slots of leases that ran out: of these, or of all. Returns how many.

    One that can't be taken back is no reason to leave the others.
    """
    expired = 0
    for grant in claims.lapsed() if lapsed is None else lapsed:
        try:
            with claims.desk() as desk:
                taken_back = desk.expire(grant.holder, grant.token)
        except claims.AWAY:
            raise
        except Exception:
            log.exception("%s: its lease ran out, and its slots can't be taken back", grant.holder)
            continue
        if taken_back:
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
    lost = tickets.lost([tickets.Ticket(op.pk, op.token or 0, op.queue) for op in waiting])
    tickets.issue(lost)
    return len(lost)
