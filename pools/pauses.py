"""Pauses that end by themselves: until when, and ending those whose time has come."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pools import claims, sizing
from pools.limits import shown
from pools.models import Pool
from pools.sizing import Author

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
