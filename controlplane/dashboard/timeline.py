"""The timeline of a run: for each op, what its time went into, as parts of the run's whole time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from runs import spans, states, verdict
from runs.models import Run
from runs.queries import OpView
from runs.spans import Span

LEAST = 0.15  # percent; what is narrower can't be seen
STOPPED = (states.CANCELED, verdict.STOPPED, verdict.GIVEN_BACK)


@dataclass(frozen=True)
class Bar:
    """A stretch of time: where it begins and how long it is, in percent of the whole."""

    kind: str  # wait, start, run, ok, fail, off, delay
    x: float
    width: float


@dataclass(frozen=True)
class Row:
    """An op's bars, and how long it ran or has waited."""

    view: OpView
    bars: tuple[Bar, ...]
    seconds: float | None
    counts_from: datetime | None  # for a duration that still grows


class Timeline:
    """Bars for every op of a run, on one axis from the run's start to its end or now."""

    def __init__(self, run: Run, ops: Sequence[OpView], of_ops: Mapping[int, Sequence[Span]]) -> None:
        now = timezone.now()
        self.start = run.started_at or run.queued_at
        self.end = max(run.ended_at or now, self.start + timedelta(seconds=1))
        self.running = run.started_at is not None and run.ended_at is None
        self.rows = [self._row(view, of_ops.get(view.op.pk, ())) for view in ops]
        self.done = sum(view.op.state in states.OP_TERMINAL for view in ops)
        self.ticks = [(part * 25, self.start + (self.end - self.start) * part / 4) for part in range(4)]

    def _row(self, view: OpView, found: Sequence[Span]) -> Row:
        bars = [bar for span in found if (bar := self._bar(span))]
        last = found[-1] if found else None
        if last and last.goes_on:
            return Row(view, tuple(bars), None, last.begin)
        ran = [span.seconds for span in found if span.kind == spans.RUNNING]
        return Row(view, tuple(bars), ran[-1] if ran else None, None)

    def _bar(self, span: Span) -> Bar | None:
        whole = (self.end - self.start).total_seconds()
        left = max(0.0, (span.begin - self.start).total_seconds() / whole * 100)
        right = min(100.0, (span.end - self.start).total_seconds() / whole * 100)
        return Bar(_looks(span), round(left, 2), round(right - left, 2)) if right - left > LEAST else None


def _looks(span: Span) -> str:
    if span.kind != spans.RUNNING:
        return {spans.WAITING: "wait", spans.STARTING: "start", spans.DELAYED: "delay"}[span.kind]
    if span.goes_on:
        return "run"
    if span.ended in STOPPED:
        return "off"
    return "ok" if span.ended == states.SUCCESS else "fail"
