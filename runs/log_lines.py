"""Reads a log: pages of it, what is new in it, all of it; by op, level and text. Never more than so many rows at once.

A page is found by the id of a line, never by counting lines. Where no index knows which lines match, a page
looks at no more than LOOKS lines and says where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import BooleanField, Count, Max, Min, Q, QuerySet
from django.db.models.expressions import RawSQL

from runs.models import SEVERE, LogLine, Op, Run

PAGE = 500  # lines
LOOKS = 20_000  # lines that a page looks at to find those that match
AT_ONCE = 2_000  # lines of a download that are read by one query
LAST = 2**63 - 1  # no id is greater

# The levels by which a log is filtered.
LEVELS: dict[str, tuple[str, ...]] = {
    "error": ("CRITICAL", "ERROR"),
    "warning": tuple(SEVERE),
    "info": ("INFO",),
    "debug": ("DEBUG",),
    "printed": ("STDERR", "STDOUT"),
}

# Said without parameters, as SQLite takes a partial index only for what it can compare with the index's condition.
_IS_SEVERE = RawSQL(f"runs_logline.level IN ({', '.join(map(repr, SEVERE))})", (), BooleanField())


@dataclass(frozen=True)
class LogFilter:
    """Which lines of a run's log to read."""

    run_id: int
    op_id: int | None = None
    level: str = ""  # a key of LEVELS
    text: str = ""  # upper and lower case are the same

    def between(self, after: int, before: int, backwards: bool = False) -> QuerySet[LogLine]:
        """The lines between two ids that one index finds, in its order; all that match are among them."""
        column, value = ("op_id", self.op_id) if self.op_id is not None else ("run_id", self.run_id)
        found = LogLine.objects.filter(_between(column, value, after, before))
        if self.op_id is None and self.level in ("error", "warning"):
            found = found.filter(_IS_SEVERE)
        return found.order_by(*((f"-{column}", "-id") if backwards else (column, "id")))

    def remaining(self) -> Q:
        """What is yet to be asked of each of those lines; empty if they all match."""
        wanted = Q()
        if self.level and (self.op_id is not None or self.level != "warning"):
            wanted &= Q(level__in=LEVELS[self.level])
        if self.text:
            wanted &= Q(text__icontains=self.text)
        return wanted


@dataclass(frozen=True)
class Page:
    """Lines of a log, oldest first. `before`, `after`: from which ids to go on, None where the log ends."""

    lines: Sequence[LogLine]
    before: int | None = None
    after: int | None = None
    looked_until: datetime | None = None  # it stopped looking at a line of then, though more may match


def older(wanted: LogFilter, before: int | None = None, most: int = PAGE) -> Page:
    """The lines before an id, or the last."""
    lines, edge, stopped = _read(wanted, most, 0, before or LAST, backwards=True)
    return Page(lines[::-1], edge, None if before is None else before - 1, stopped)


def newer(wanted: LogFilter, after: int = 0, most: int = PAGE) -> Page:
    """The lines after an id, or the first."""
    lines, edge, stopped = _read(wanted, most, after, LAST, backwards=False)
    return Page(lines, after + 1 if after else None, edge, stopped)


def around(wanted: LogFilter, line: LogLine) -> Page:
    """A line, whether or not it matches, between those that match."""
    above = older(wanted, line.pk, PAGE // 2)
    below = newer(wanted, line.pk, PAGE - PAGE // 2 - 1)
    return Page([*above.lines, line, *below.lines], above.before, below.after, above.looked_until or below.looked_until)


def find(run: Run, line_id: int) -> LogLine | None:
    """A line of this run."""
    return LogLine.objects.filter(run=run, pk=line_id).select_related("op").first()


def tail(run: Run, op: Op | None = None, most: int = 20) -> Sequence[LogLine]:
    """The last lines of a run's log, or of one op's, oldest first."""
    return older(LogFilter(run.pk, op.pk if op else None), None, most).lines


def last_id(run_id: int) -> int:
    """The id of a run's last line, 0 without one."""
    return LogFilter(run_id).between(0, LAST, backwards=True).values_list("id", flat=True).first() or 0


def fresh(wanted: LogFilter, settled: int, last: int, seen: int) -> Page:
    """What a reader has not seen who has all lines up to `settled`, and `seen` from there to `last`.

    Ids are given out before lines are committed, so that one may turn up before a line that was seen: then all
    after `settled` is given again. Of more than a page only the newest are given, and `before` says so.
    """
    known = _shown(wanted, wanted.between(settled, last + 1, backwards=True), PAGE + 1)
    lines, edge, _ = _read(wanted, PAGE, last if len(known) == seen else settled, LAST, backwards=True)
    return Page(lines[::-1], before=edge)


def everything(wanted: LogFilter) -> Iterator[Sequence[LogLine]]:
    """All lines that match, part by part, up to the last that there was when this began."""
    end, after = last_id(wanted.run_id), 0
    while True:
        until = wanted.between(after, end + 1).values("id")[:AT_ONCE].aggregate(until=Max("id"))["until"]
        if until is None:
            return
        yield _shown(wanted, wanted.between(after, until + 1), AT_ONCE)
        after = until


def _between(column: str, value: int, after: int, before: int) -> Q | RawSQL:
    """That a column has this value, and the id is between two others.

    PostgreSQL is told the bounds as pairs: it would walk the table by the ids alone, past the lines of all other runs.
    SQLite finds pairs by their first half only.
    """
    if connection.vendor == "sqlite":
        return Q(**{column: value}, id__gt=after, id__lt=before)
    pair = f"(runs_logline.{column}, runs_logline.id)"
    return RawSQL(f"{pair} > (%s, %s) AND {pair} < (%s, %s)", (value, after, value, before), BooleanField())


def _read(
    wanted: LogFilter, most: int, after: int, before: int, backwards: bool
) -> tuple[list[LogLine], int | None, datetime | None]:
    """The first lines between two ids; the edge of the next, and of when the line is at which it stopped looking."""
    stopped = None
    if wanted.remaining():
        looked = wanted.between(after, before, backwards).values("id")[:LOOKS]
        span = looked.aggregate(edge=(Min if backwards else Max)("id"), count=Count("id"))
        if span["count"] == LOOKS:
            stopped = span["edge"]
            after, before = (stopped - 1, before) if backwards else (after, stopped + 1)
    found = _shown(wanted, wanted.between(after, before, backwards), most + 1)
    if len(found) > most:
        return found[:most], found[most - 1].pk, None
    return found, stopped, LogLine.objects.get(pk=stopped).at if stopped else None


def _shown(wanted: LogFilter, lines: QuerySet[LogLine], most: int) -> list[LogLine]:
    """Those of the lines that match, with their ops."""
    found = lines.filter(wanted.remaining()).select_related("op")
    return list(found.only("run", "op", "attempt", "at", "level", "text", "op__key")[:most])
