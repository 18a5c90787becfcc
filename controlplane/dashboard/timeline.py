"""The timeline of a run: for each op, when it waited and when it ran, as parts of the run's whole time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from runs import states
from runs.models import Run
from runs.queries import OpView


@dataclass(frozen=True)
class Bar:
    """A stretch of time: where it begins and how long it is, in percent of the whole."""

    kind: str  # wait, run, ok, fail, none
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

    def __init__(self, run: Run, ops: Sequence[OpView]) -> None:
        now = timezone.now()
        self.start = run.started_at or run.queued_at
        self.end = max(run.ended_at or now, self.start + timedelta(seconds=1))
        self.running = run.started_at is not None and run.ended_at is None
        self.rows = [self._row(view, now) for view in ops]
        self.done = sum(view.op.state in states.OP_TERMINAL for view in ops)
        self.ticks = [(part * 25, self.start + (self.end - self.start) * part / 4) for part in range(4)]

    def _row(self, view: OpView, now: datetime) -> Row:
        op = view.op
        bars: list[Bar] = []
        ran_from = op.started_at
        if op.ready_at:
            waited_to = ran_from or op.admitted_at or op.ended_at or now
            self._add(bars, "wait", op.ready_at, waited_to)
        if ran_from:
            kind = {states.SUCCESS: "ok", states.FAILURE: "fail", states.UP_FOR_RETRY: "fail"}.get(op.state, "run")
            self._add(bars, kind if op.ended_at else "run", ran_from, op.ended_at or now)
        growing = None
        if op.state == states.RUNNING:
            growing = op.started_at
        elif op.state in (states.READY, states.ADMITTED):
            growing = op.ready_at
        ran = (op.ended_at - ran_from).total_seconds() if ran_from and op.ended_at else None
        return Row(view, tuple(bars), ran, growing)

    def _add(self, bars: list[Bar], kind: str, begin: datetime, end: datetime) -> None:
        whole = (self.end - self.start).total_seconds()
        left = max(0.0, (begin - self.start).total_seconds() / whole * 100)
        right = min(100.0, (end - self.start).total_seconds() / whole * 100)
        if right - left > 0.15:
            bars.append(Bar(kind, round(left, 2), round(right - left, 2)))
