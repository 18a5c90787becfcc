"""Until when a pool is paused and why: changing that, and ending those pauses whose time has come."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from pools import claims, sizing
from pools.limits import shown
from pools.models import Pool
from pools.sizing import Author, Conflict


class Paused(Protocol):
    """What says of a pool since when it is paused, by whom, why and until when."""

    @property
    def paused_at(self) -> datetime | None: ...
    @property
    def paused_by(self) -> str: ...
    @property
    def pause_reason(self) -> str: ...
    @property
    def paused_until(self) -> datetime | None: ...


LONGEST = timedelta(days=366)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
ALLOWED = "a span such as 30m, 2h or 1d, a time of day such as 14:30 (UTC), or a date and time with its zone"


class InvalidPause(ValueError):
    """An end of a pause that is not allowed. The text names the value and what is allowed."""


def end_of(text: str, now: datetime, what: str = "until") -> datetime | None:
    """When a pause ends of which somebody says so: see ALLOWED; a time of day is the next. None: nothing is said.

    Raises InvalidPause.
    """
    text = text.strip()
    if not text:
        return None
    end = _span(text, now) or _time_of_day(text, now) or _moment(text)
    if end is None:
        raise InvalidPause(f"{what}: {shown(text)} is not allowed: use {ALLOWED}.")
    if not now < end <= now + LONGEST:
        raise InvalidPause(
            f"{what}: {shown(text)} is not allowed: use a time from now to {LONGEST.days} days from now."
        )
    return end


def mark(pool: Paused) -> str:
    """Another one for each pause, and for each reason and end that it is given; "" for a pool that is not paused."""
    if pool.paused_at is None:
        return ""
    facts = (pool.paused_at.isoformat(), pool.paused_by, pool.pause_reason, str(pool.paused_until))
    return sha256(repr(facts).encode()).hexdigest()[:16]


def change(name: str, author: Author, until: datetime | None = None, seen: str | None = None) -> Pool:
    """Give the pause of a pool another reason and end; it is the author's from then on, and goes on meanwhile.

    `seen`: its mark, as the reader saw it; None does not care. Raises NoSuchPool, and Conflict if it is another one by
    now, or none.
    """
    subject = sizing.subject(name)
    with sizing.existing(name) as (desk, pool):
        if pool.paused_at is None or seen not in (None, mark(pool)):
            current = "open" if pool.paused_at is None else "paused"
            raise Conflict(subject, pool.version, current, sizing.latest_change(subject, "paused"))
        was = {"reason": pool.pause_reason, **sizing.until_in_ledger(pool.paused_until)}
        reason = author.why.strip()[:500]
        if (pool.pause_reason, pool.paused_until) != (reason, until):
            sizing.update(pool, paused_by=author.who, pause_reason=reason, paused_until=until)
            sizing.record(desk, author, subject, "paused", "yes", "yes", was)
            desk.note([pool.gate_id])
    pool.refresh_from_db()
    return pool


def end_due() -> int:
    """Resume the pools whose pause has an end that has come. Returns how many.

    Each is looked at again under the lock: a pause that was ended, or begun anew, meanwhile is left alone.
    """
    ended = 0
    for pool_id in list(Pool.objects.filter(paused_until__lte=claims.clock_time()).values_list("pk", flat=True)):
        with claims.desk() as desk:
            pool = Pool.objects.filter(pk=pool_id, paused_until__lte=desk.now).first()
            if pool is not None:
                sizing.end_pause(desk, pool, Author("clock", "engine", "the end of the pause had come"))
                ended += 1
    return ended


def _span(text: str, now: datetime) -> datetime | None:
    found = re.fullmatch(r"([0-9]{1,6}) ?([mhd])", text)
    return now + int(found[1]) * UNITS[found[2]] if found else None


def _time_of_day(text: str, now: datetime) -> datetime | None:
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text)
    if not found:
        return None
    today = now.astimezone(UTC).replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
