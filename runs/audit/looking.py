"""One look at everything that must agree, and a second one at what the first can't be sure of.

The database is read as it stood at one moment: what no transaction can have left behind is drift, and no change that
was under way. Leases, the clock's duties, tickets and processes are not written in one transaction with the rest:
what is wrong about them counts only if a second look, a moment later, finds exactly the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from pools import claims
from pools.audit import drift as of_pools
from pools.audit.books import Books, Finding, Says
from pools.audit.reading import books_of
from runs import parentage, plans, tickets, workforce
from runs.audit import drift, reading
from runs.audit.drift import TicketRow

MOMENT = 2.0  # seconds between two looks, beside the time in which every lease is renewed
PATIENCE = timedelta(seconds=30)  # for the clock, which does each second what is due
TICKET_PATIENCE = timedelta(seconds=10)
OLD = timedelta(minutes=5)  # a transaction that is open for longer; ours are ended after seconds


@dataclass(frozen=True)
class Look:
    """What one look found. `certain` needs no second one. `unseen`: what could not be looked at, and why.

    `warnings` are no drift: nothing of ours is wrong.
    """

    at: datetime
    certain: tuple[Finding, ...]
    doubtful: tuple[Finding, ...] = ()
    unseen: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.certain, *self.doubtful)

    def confirmed_by(self, second: Look) -> Look:
        """What is certain, and what a second look found just the same."""
        again = {finding.mark for finding in second.findings}
        doubtful = tuple(finding for finding in self.doubtful if finding.mark in again)
        unseen = tuple(dict.fromkeys((*self.unseen, *second.unseen)))
        return Look(self.at, self.certain, doubtful, unseen, second.warnings)


def moment() -> float:
    """Seconds between two looks: each living holder has been renewed in between."""
    return MOMENT + float(settings.LEASE_SECONDS) / 3


def audit() -> Look:
    """Look, and look again a moment later if there is anything in doubt."""
    found = look()
    if not found.doubtful:
        return found
    time.sleep(moment())
    return found.confirmed_by(look())


def look() -> Look:
    """One look at everything. Writes nothing, and waits for nobody."""
    with claims.snapshot() as now:
        books, says = read()
        certain = inside(books, says)
        doubtful = after_a_while(books, says, now)
    by_redis, unseen = _outside(books, now)
    return Look(now, tuple(certain), (*doubtful, *by_redis), tuple(unseen), tuple(drift.held_back(reading.old(OLD))))


def read() -> tuple[Books, dict[str, Says]]:
    """Both books, in the caller's transaction."""
    names = reading.holders()
    books = reading.with_limits(books_of(names))
    return books, reading.says({*names, *(waiter.holder for waiter in books.waiters)})


def inside(books: Books, says: dict[str, Says]) -> list[Finding]:
    """Everything that no transaction can have left behind."""
    found = of_pools.compare(books, says)
    found += drift.unended(reading.runs_in_progress())
    found += drift.left(reading.ops_left())
    for plan_id, ops in reading.ops_of_started():
        found += drift.upstream(plans.load(plan_id), ops)
    return found


def after_a_while(books: Books, says: dict[str, Says], now: datetime) -> list[Finding]:
    """What somebody should have seen to by now.

    Leases mean nothing while the database has not been up for as long as they last: nobody could renew them.
    """
    found: list[Finding] = []
    lease = timedelta(seconds=settings.LEASE_SECONDS)
    if claims.server_uptime() >= 2 * settings.LEASE_SECONDS:
        found += of_pools.lapsed(books, says, now, lease)
        found += drift.silent(reading.workers(), now, lease)
    return [*found, *_overdue(now)]


def overdue() -> list[Finding]:
    """What the clock should have done by now."""
    return _overdue(claims.clock_time())


def _overdue(now: datetime) -> list[Finding]:
    return list(drift.overdue(reading.due(now - PATIENCE), now, PATIENCE))


def _outside(books: Books, now: datetime) -> tuple[list[Finding], list[str]]:
    """What Redis and the processes of this machine say. They are asked after the database."""
    found: list[Finding] = []
    missing = {worker.pk for worker in workforce.orphans(parentage.here(), launcher="")}
    found += drift.gone(reading.workers(missing)) if missing else []
    queues = {row.gate.label: row.gate for row in books.gates.values() if row.gate.kind == "workers"}
    seen = tickets.seen(sorted(queues))
    if seen is None:
        return found, ["Redis does not answer: tickets are not compared"]
    known = {(entry.ticket.op_id, entry.ticket.token) for entry in seen}
    found += drift.lost(row for row in reading.admitted(now - TICKET_PATIENCE) if (row.op, row.token) not in known)
    rows = [TicketRow(s.ticket.op_id, s.ticket.token, s.ticket.queue, s.since, s.worker) for s in seen]
    free = {queue: (gate.limit or 0) - gate.in_use for queue, gate in queues.items()}
    found += drift.stray(reading.tickets_of(rows), free, reading.idle_workers(now), now, PATIENCE)
    return found, []
