"""The timeline of a run: for each op, what its time went into, as parts of the run's whole time.

A run of very many ops is drawn by state, one row each: how many of its ops ran and how many waited, moment by moment.
The ops of one state are drawn one by one, page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from pools.limits import shown, whole
from runs import spans, states, verdict
from runs.models import Run
from runs.queries import OpView
from runs.spans import Span
from runs.words import duration

MOST = 200  # ops on a page
MOMENTS = 60  # parts of the whole time, for which ops are counted
SHADES = 5
LEAST = 0.15  # percent; what is narrower can't be seen
LEAST_RUN = 0.4  # percent; an attempt is drawn however short it was
STOPPED = (states.CANCELED, verdict.STOPPED, verdict.GIVEN_BACK)
# What a reader looks for first stands first.
ORDER = (
    states.RUNNING, states.ADMITTED, states.READY, states.UP_FOR_RETRY, states.FAILURE, states.PENDING,
    states.SUCCESS, states.SKIPPED, states.CANCELED,
)  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A stretch of time: where it begins and how long it is, in percent of the whole. `shade`: from 1 to SHADES."""

    kind: str  # wait, start, run, ok, fail, off, delay
    x: float
    width: float
    shade: int = SHADES


@dataclass(frozen=True)
class Row:
    """An op's bars, and how long it ran or has waited."""

    view: OpView
    bars: tuple[Bar, ...]
    seconds: float | None
    counts_from: datetime | None  # for a duration that still grows
    words: str


@dataclass(frozen=True)
class Group:
    """The ops of one state. `ran`, `waited`: bars for how many of them did so at once."""

    state: str
    count: int
    ran: Sequence[Bar]
    waited: Sequence[Bar]
    most: int  # ran at once
    most_waiting: int


@dataclass(frozen=True)
class Choice:
    """Which ops to draw one by one: those of a state, from a rank on; without either, as is best for their number."""

    state: str = ""
    start: int | None = None

    @classmethod
    def read(cls, state: str, start: str) -> Choice:
        """The choice that was written. Raises ValueError, which says what is allowed."""
        if state and state not in states.OP_STATES:
            raise ValueError(f"ops: {shown(state)} is not allowed: use {', '.join(states.OP_STATES)}, or nothing.")
        number = whole(start) if start else None
        if start and (number is None or not 0 <= number < 2**31):
            raise ValueError(f"from: {shown(start)} is not allowed: use the number of an op, from 0 on.")
        return cls(state, number)

    def __bool__(self) -> bool:
        return bool(self.state) or self.start is not None


class Timeline:
    """Bars for the ops of a run, on one axis from the run's start to its end or now."""

    def __init__(
        self, run: Run, ops: Sequence[OpView], of_ops: Mapping[int, Sequence[Span]], choice: Choice | None = None
    ) -> None:
        now = timezone.now()
        self.choice = choice or Choice()
        self.start = run.started_at or run.queued_at
        self.end = max(run.ended_at or now, self.start + timedelta(seconds=1))
        self.running = run.started_at is not None and run.ended_at is None
        self.count = len(ops)
        self.done = sum(view.op.state in states.OP_TERMINAL for view in ops)
        self.ticks = [(part * 25, self.start + (self.end - self.start) * part / 4) for part in range(4)]
        self.rows: list[Row] = []
        self.groups: list[Group] = []
        self.following: int | None = None  # the rank to go on from
        if len(ops) > MOST and not self.choice:
            self.groups = list(self._groups(ops, of_ops))
            return
        start = self.choice.start or 0
        wanted = [view for view in ops if view.op.rank >= start and self.choice.state in ("", view.op.state)]
        self.rows = [self._row(view, of_ops.get(view.op.pk, ())) for view in wanted[:MOST]]
        self.following = wanted[MOST].op.rank if len(wanted) > MOST else None

    def _row(self, view: OpView, found: Sequence[Span]) -> Row:
        bars = tuple(bar for span in found if (bar := self._bar(span)))
        last = found[-1] if found else None
        words = ", ".join(f"{_WORDS[_looks(span)]} {duration(span.seconds)}" for span in found)
        if last and last.goes_on:
            return Row(view, bars, None, last.begin, words)
        ran = [span.seconds for span in found if span.kind == spans.RUNNING]
        return Row(view, bars, ran[-1] if ran else None, None, words)

    def _bar(self, span: Span) -> Bar | None:
        left, right = self._part(span.begin), self._part(span.end)
        if span.kind == spans.RUNNING and right - left < LEAST_RUN:
            right = min(100.0, left + LEAST_RUN)
            left = min(left, right - LEAST_RUN)
        return Bar(_looks(span), round(left, 2), round(right - left, 2)) if right - left > LEAST else None

    def _part(self, moment: datetime) -> float:
        """Where a moment is, in percent."""
        whole = (self.end - self.start).total_seconds()
        return min(100.0, max(0.0, (moment - self.start).total_seconds() / whole * 100))

    def _groups(self, ops: Sequence[OpView], of_ops: Mapping[int, Sequence[Span]]) -> Iterable[Group]:
        for state in ORDER:
            members = [view.op.pk for view in ops if view.op.state == state]
            if not members:
                continue
            found = [span for op_id in members for span in of_ops.get(op_id, ())]
            ran = self._at_once(span for span in found if span.kind == spans.RUNNING)
            waited = self._at_once(span for span in found if span.kind == spans.WAITING)
            look = {states.SUCCESS: "ok", states.FAILURE: "fail", states.CANCELED: "off"}.get(state, "run")
            yield Group(state, len(members), _shaded(ran, look), _shaded(waited, "wait"), max(ran), max(waited))

    def _at_once(self, found: Iterable[Span]) -> list[int]:
        """How many of the stretches touch each of the moments."""
        changes = [0] * (MOMENTS + 1)
        for span in found:
            first = min(MOMENTS - 1, int(self._part(span.begin) * MOMENTS / 100))
            last = min(MOMENTS - 1, int(self._part(span.end) * MOMENTS / 100))
            changes[first] += 1
            changes[last + 1] -= 1
        counts, count = [], 0
        for change in changes[:MOMENTS]:
            count += change
            counts.append(count)
        return counts


def _shaded(counts: Sequence[int], kind: str) -> list[Bar]:
    """Bars for these counts, the darker the more; moments of one shade are one bar."""
    most, width = max(counts), 100 / MOMENTS
    bars: list[Bar] = []
    for n, count in enumerate(counts):
        shade = -(-count * SHADES // most) if most else 0
        if bars and bars[-1].shade == shade and round(bars[-1].x + bars[-1].width, 1) == round(n * width, 1):
            bars[-1] = Bar(kind, bars[-1].x, round((n + 1) * width - bars[-1].x, 2), shade)
        elif shade:
            bars.append(Bar(kind, round(n * width, 2), round(width, 2), shade))
    return bars


_WORDS = {
    "wait": "waited", "start": "was starting for", "delay": "between attempts for", "run": "has run for",
    "off": "stopped after", "ok": "succeeded after", "fail": "failed after",
}  # fmt: skip


def _looks(span: Span) -> str:
    if span.kind != spans.RUNNING:
        return {spans.WAITING: "wait", spans.STARTING: "start", spans.DELAYED: "delay"}[span.kind]
    if span.goes_on:
        return "run"
    if span.ended in STOPPED:
        return "off"
    return "ok" if span.ended == states.SUCCESS else "fail"
