"""Which runs somebody asks for, and finding them with bounded work, however many there are.

Runs are found by walking down their ids. What one index answers is one statement. Anything else is looked for in
parts of the ids, the newest first, until there is a page of it or time is up: then what was found is told, and where
to go on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from pools import claims
from pools.limits import shown
from runs import queries, states
from runs.catalog import ASSET_JOB
from runs.models import Op, Run

# The groups under which runs are filtered.
GROUPS: dict[str, tuple[str, ...]] = {
    "queued": (states.QUEUED,),
    "progress": states.RUN_IN_PROGRESS,
    "success": (states.SUCCESS,),
    "failure": (states.FAILURE,),
    "canceled": (states.CANCELED,),
}
SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
RANGE = "range"
LONGEST = {"job": 200, "tag": 701, "q": 200}

MOST = 30  # runs on a page
MOST_COUNTED = 10_000
PATIENCE = 2.0  # seconds to look for a page
DATABASES_PATIENCE = 2.0  # seconds that a statement may take
COUNTING = 0.25  # seconds after which a page that is full is not counted on
PART = 5_000  # ids that are looked through at first
QUICK = 0.1  # seconds: after a part that took less, the next is twice as large
# Runs get their ids and their times of launch in the same order, save for a clock that was set back.
OUT_OF_STEP = timedelta(minutes=1)


@dataclass(frozen=True)
class Filter:
    """Which runs to list."""

    group: str = ""
    job: str = ""
    tag: str = ""  # key or key=value
    text: str = ""  # how the uid begins, or words of an error
    span: str = ""  # launched in the last of SPANS; else between these two
    since: datetime | None = None
    until: datetime | None = None

    def apply(self, found: QuerySet[Run], before: int | None = None) -> QuerySet[Run]:
        """Those of these runs; with `before`, those below that id."""
        if self.group in GROUPS:
            found = found.filter(state__in=GROUPS[self.group])
        if self.is_of_job:
            found = queries.of_job(found, self.job_name, before)
        elif self.job:
            found = found.filter(job=self.job_name)
        if self.tag:
            key, equals, value = self.tag.partition("=")
            tagged: dict[str, Any] = {"runtag__key": key} | ({"runtag__value": value} if equals else {})
            if before is not None:
                tagged["runtag__run__lt"] = before  # of the same row, along its index
            found = found.filter(**tagged)
        elif before is not None:
            found = found.filter(pk__lt=before)
        if self.text:
            found = queries.beginning(self.text, found) if self.by_uid else found.filter(_failed_with(self.text))
        return _launched(found, *self.times(), self.job_name if self.is_of_job else "")

    def times(self) -> tuple[datetime | None, datetime | None]:
        """From when and until when they were launched, as of now."""
        if self.span in SPANS:
            return timezone.now() - SPANS[self.span], None
        return self.since, self.until

    @property
    def by_uid(self) -> bool:
        return re.fullmatch(r"[0-9a-f]{4,32}", self.text) is not None

    @property
    def is_simple(self) -> bool:
        """Whether one index answers it: then nothing is read that does not match."""
        return bool(self.text and self.by_uid) or (
            not self.text and sum(map(bool, (self.group, self.job, self.tag))) < 2
        )

    @property
    def is_of_job(self) -> bool:
        """Whether the index of a job's runs answers it."""
        return bool(self.job and self.is_simple and not self.text)

    @property
    def job_name(self) -> str:
        """The job under the name by which its runs carry it."""
        return ASSET_JOB if self.job == "assets" else self.job

    def query(self) -> dict[str, str]:
        """It as `parse` reads it."""
        when = RANGE if self.since or self.until else self.span
        named = {"state": self.group, "job": self.job, "tag": self.tag, "q": self.text, "when": when}
        named |= {"from": _written(self.since), "to": _written(self.until)}
        return {name: value for name, value in named.items() if value}

    @property
    def address(self) -> str:
        """It as a part of an address."""
        return urlencode(self.query())

    def __bool__(self) -> bool:
        return self != Filter()


def parse(query: Mapping[str, str]) -> tuple[Filter, dict[str, str]]:
    """The filter that a query asks for, and what is wrong with it by field: such a field filters nothing."""
    text = {name: query.get(name, "").strip() for name in ("state", "job", "tag", "q", "from", "to")}
    when = query.get("when", RANGE if text["from"] or text["to"] else "").strip()
    wrong = {
        name: f"{name}: it has {len(text[name])} characters; {most} are allowed."
        for name, most in LONGEST.items()
        if len(text[name]) > most
    }
    if text["state"] and text["state"] not in GROUPS:
        wrong["state"] = _not_allowed("state", text["state"], f"use {', '.join(GROUPS)}, or nothing for all.")
    if when and when != RANGE and when not in SPANS:
        wrong["when"] = _not_allowed("when", when, f"use {', '.join(SPANS)}, {RANGE}, or nothing for all.")
    moments: dict[str, datetime | None] = {"from": None, "to": None}
    for name in moments if when == RANGE else ():
        try:
            moments[name] = _moment(text[name])
        except ValueError:
            wrong[name] = _not_allowed(name, text[name], "use a date and time like 2026-11-25T14:30, in UTC.")
    since, until = moments["from"], moments["to"]
    if since and until and since >= until:
        wrong["to"] = _not_allowed("to", text["to"], "use a time after that of from.")
    fields = {"group": "state", "job": "job", "tag": "tag", "text": "q"}
    chosen = {field: text[name] for field, name in fields.items() if name not in wrong}
    span = when if when in SPANS else ""
    return Filter(**chosen, span=span, since=since, until=None if "to" in wrong else until), wrong


def wider(wanted: Filter) -> list[tuple[str, str, Filter]]:
    """What may be left out of a filter that nothing matches: a verb, what it is about, and the filter without it."""
    found = []
    spans = list(SPANS)
    if wanted.span and wanted.span != spans[-1]:
        following = spans[spans.index(wanted.span) + 1]
        found.append(("widen to", following, replace(wanted, span=following)))
    elif wanted.span or wanted.since or wanted.until:
        found.append(("clear", "the time", replace(wanted, span="", since=None, until=None)))
    for name in ("group", "job", "tag", "text"):
        if getattr(wanted, name):
            cleared: dict[str, str] = {name: ""}
            found.append(("clear", getattr(wanted, name), replace(wanted, **cleared)))  # type: ignore[arg-type]
    return found


@dataclass(frozen=True)
class Found:
    """A page of runs, newest first."""

    runs: list[Run]
    following: int | None  # the id to pass as `before` for what comes after it; None: that was all
    newest: int  # no run was launched later when this was found
    stopped: bool  # time was up before the page was full
    struck: bool  # the database stopped it within the first part, which it would do again
    total: int | None  # how many there are; None: not counted
    more: bool  # there are more than that

    @property
    def is_capped(self) -> bool:
        """Whether there are more than are ever counted."""
        return self.more and self.total == MOST_COUNTED


def find(wanted: Filter, before: int | None = None, most: int = MOST) -> Found:
    """A page of the runs that a filter asks for; those below the id `before`. The first page is counted."""
    oldest, newest = _ends()
    if wanted.is_simple:
        return _find_at_once(wanted, before, most, newest)
    high = newest + 1 if before is None else min(before, newest + 1)
    ids, low = _look_through(wanted, oldest, high, most, before is None)
    is_full, is_cut = len(ids) > most, low > oldest
    following = ids[most - 1] if is_full else low if is_cut else None
    total = None if before is not None else min(len(ids), MOST_COUNTED)
    more = total is not None and (is_cut or len(ids) > MOST_COUNTED)
    return Found(rows(ids[:most]), following, newest, is_cut and not is_full, is_cut and low == high, total, more)


def _look_through(wanted: Filter, oldest: int, high: int, most: int, counted: bool) -> tuple[list[int], int]:
    """The ids below `high` that match, the newest first, until there are enough or time is up: by a look at the clock
    after each part, or by the database, within one. And down to which id all were looked at.
    """
    ids: list[int] = []
    began, done = time.monotonic(), high
    try:
        with claims.at_most(DATABASES_PATIENCE):
            for low, up in _parts(oldest, high, began):
                part = wanted.apply(Run.objects.filter(pk__gte=low, pk__lt=up)).order_by("-id")
                ids += part.values_list("id", flat=True)[: MOST_COUNTED + 1 - len(ids)]
                done = low
                is_full, gone = len(ids) > most, time.monotonic() - began
                if len(ids) > MOST_COUNTED or (is_full and not counted) or gone > (COUNTING if is_full else PATIENCE):
                    break
    except claims.TookTooLong:
        pass
    return ids, done


def _find_at_once(wanted: Filter, before: int | None, most: int, newest: int) -> Found:
    found = wanted.apply(Run.objects.all(), before)
    # The tag's own column, where there is one: its index is in that order, and SQLite does not see that it is the same.
    order = ["-runtag__run"] if wanted.tag else ["-job", "-id"] if wanted.is_of_job else ["-id"]
    page = list(found.order_by(*order)[: most + 1])
    following = page[most - 1].pk if len(page) > most else None
    total: int | None = None
    if before is None:
        total = len(page) if following is None else found.order_by().values("pk")[: MOST_COUNTED + 1].count()
    capped = total is not None and total > MOST_COUNTED
    return Found(page[:most], following, newest, False, False, MOST_COUNTED if capped else total, capped)


def _ends() -> tuple[int, int]:
    """The ids of the oldest run and of the newest: what is older may have been removed."""
    first = Subquery(Run.objects.order_by("id").values("pk")[:1])
    return Run.objects.order_by("-id").annotate(first=first).values_list("first", "pk").first() or (0, 0)


def _parts(oldest: int, high: int, began: float) -> Iterator[tuple[int, int]]:
    """Parts of the ids below `high`, as large as can be looked through quickly."""
    size, at = PART, began
    while high > oldest:
        low = max(oldest, high - size)
        yield low, high
        took, at = time.monotonic() - at, time.monotonic()
        size, high = (size * 2 if took < QUICK else size), low


def rows(ids: list[int]) -> list[Run]:
    """These runs, newest first."""
    return list(Run.objects.filter(pk__in=ids).order_by("-id"))


def newer(wanted: Filter, after: int, most: int = 99) -> int:
    """How many runs that match were launched after the one with this id; at most one more than `most`."""
    found = Run.objects.filter(pk__gt=after)
    if wanted.is_of_job:
        found = queries.in_job(found, wanted.job_name, ">", after)
    elif not wanted.is_simple:
        found = found.filter(pk__lte=after + PART)  # looked at with every change, so not at more and more
    return wanted.apply(found).order_by().values("pk")[: most + 1].count()


def _failed_with(text: str) -> Q:
    return Q(error__icontains=text) | Q(Exists(Op.objects.filter(run=OuterRef("pk"), error__icontains=text)))


def _launched(found: QuerySet[Run], since: datetime | None, until: datetime | None, of_job: str = "") -> QuerySet[Run]:
    """Those launched between two times. Also said in ids, so that whichever index finds them stops there."""
    if since is not None:
        first = Run.objects.filter(queued_at__gte=since - OUT_OF_STEP).order_by("queued_at").values("pk")[:1]
        found = found.filter(queued_at__gte=since, pk__gte=Subquery(first))
        found = queries.in_job(found, of_job, ">=", first) if of_job else found
    if until is not None:
        last = Run.objects.filter(queued_at__lt=until + OUT_OF_STEP).order_by("-queued_at").values("pk")[:1]
        found = found.filter(queued_at__lt=until, pk__lte=Subquery(last))
        found = queries.in_job(found, of_job, "<=", last) if of_job else found
    return found


def _moment(text: str) -> datetime | None:
    """A date, or a date and time; in UTC, if it names no zone. Raises ValueError."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def _written(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="minutes")


def _not_allowed(field: str, value: str, allowed: str) -> str:
    return f"{field}: {shown(value)} is not allowed: {allowed}"
