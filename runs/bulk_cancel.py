"""Cancels all runs of a filter, some hundred a transaction, the newest first.

The newest first, so that the end of one does not start another that is about to be canceled. Whoever began it carries
it out for a moment; the clock goes on with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, F, Max, Q, QuerySet

from pools import claims
from runs import states, tickets, transitions
from runs.filters import Filter
from runs.models import BulkCancel, Run

BATCH = 250  # runs canceled in one transaction
UNDO_FOR = 10.0  # seconds that a page gives before it begins
AT_ONCE = 1.0  # seconds that whoever asked for it carries it out himself


@dataclass(frozen=True)
class Matching:
    """How many runs of a filter there are to cancel, and the newest of them."""

    queued: int
    in_progress: int
    newest: int

    @property
    def total(self) -> int:
        return self.queued + self.in_progress


def matching(wanted: Filter, up_to: int | None = None) -> Matching:
    """The runs of a filter that can be canceled; with `up_to`, those up to that one."""
    by_state = _cancelable(wanted, up_to).order_by().values("state").annotate(count=Count("id"), last=Max("id"))
    found = {row["state"]: (row["count"], row["last"]) for row in by_state}
    queued, last_queued = found.get(states.QUEUED, (0, 0))
    in_progress, last_in_progress = found.get(states.STARTED, (0, 0))
    return Matching(queued, in_progress, max(last_queued, last_in_progress))


def begin(wanted: Filter, who: str, up_to: int | None = None, undo_for: float = 0.0) -> BulkCancel:
    """Cancel every run of a filter that is queued or in progress now; with `up_to`, those up to that one.

    For `undo_for` seconds nothing is canceled, and it can be called off; then the clock carries it out. Without,
    returns how far it has got after a moment.
    """
    found = matching(wanted, up_to)
    now = claims.clock_time()
    since, until = wanted.times()
    row = BulkCancel.objects.create(
        who=who[:150],
        group=wanted.group,
        job=wanted.job,
        tag=wanted.tag,
        text=wanted.text,
        since=since,
        until=until,
        newest=found.newest,
        before=found.newest + 1,
        total=found.total,
        begun_at=now,
        begins_at=now + timedelta(seconds=undo_for) if undo_for else None,
    )
    if undo_for:
        tickets.announce({"runs"})
        return row
    enough = time.monotonic() + AT_ONCE
    while step(row) and time.monotonic() < enough:
        row.refresh_from_db()
    row.refresh_from_db()
    return row


def call_off(row: BulkCancel, who: str) -> bool:
    """Let nothing of it be canceled. False: it has begun, or somebody called it off before."""
    now = claims.clock_time()
    waiting = BulkCancel.objects.filter(pk=row.pk, ended_at=None, begins_at__gt=now)
    called_off = waiting.update(ended_at=now, called_off_by=who[:150]) == 1
    tickets.announce({"runs"})
    return called_off


def finish(enough: Callable[[], bool] = lambda: False) -> int:
    """Go on with all that may begin by now, until `enough()`. Returns how many transactions it took."""
    transactions = 0
    open_rows = BulkCancel.objects.filter(ended_at=None).order_by("id")
    while not enough() and (row := open_rows.filter(_may_begin()).first()):
        step(row)
        transactions += 1
    return transactions


def step(row: BulkCancel) -> bool:
    """Cancel the next runs. False: it has ended. Two at once do no harm: they count what each of them canceled."""
    wanted = Filter(row.group, row.job, row.tag, row.text, since=row.since, until=row.until)
    ids = list(_cancelable(wanted).filter(pk__lt=row.before).order_by("-id").values_list("id", flat=True)[:BATCH])
    canceled = transitions.cancel_runs(ids, row.who) if ids else 0
    mine = BulkCancel.objects.filter(pk=row.pk)
    mine.update(canceled=F("canceled") + canceled)
    if ids:
        mine.filter(before__gt=ids[-1]).update(before=ids[-1])
    else:
        mine.filter(ended_at=None).update(ended_at=claims.clock_time())
    tickets.announce({"runs"})
    return bool(ids)


def latest() -> BulkCancel | None:
    """The one that is being carried out, else the one that was begun last."""
    begun, newest = BulkCancel.objects.filter(ended_at=None).order_by("id"), BulkCancel.objects.order_by("-id")
    found = BulkCancel.objects.filter(Q(pk__in=begun.values("pk")[:1]) | Q(pk__in=newest.values("pk")[:1]))
    return min(found, key=lambda row: (row.ended_at is not None, row.pk), default=None)


def _may_begin() -> Q:
    return Q(begins_at=None) | Q(begins_at__lte=claims.clock_time())


def _cancelable(wanted: Filter, up_to: int | None = None) -> QuerySet[Run]:
    found = Run.objects.filter(state__in=(states.QUEUED, states.STARTED))
    return wanted.apply(found if up_to is None else found.filter(pk__lte=up_to))
