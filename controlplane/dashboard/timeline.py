"""The timeline of a run: for each op, when it waited and when it ran, as parts of the run's whole time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from runs import states
from runs.models import Op, OpEvent, Run
from runs.queries import OpView

Span = tuple[datetime, datetime]


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

    def __init__(self, run: Run, ops: Sequence[OpView], tries: Mapping[int, Sequence[OpEvent]]) -> None:
        now = timezone.now()
        self.start = run.started_at or run.queued_at
        self.end = max(run.ended_at or now, self.start + timedelta(seconds=1))
        self.running = run.started_at is not None and run.ended_at is None
        self.rows = [self._row(view, tries.get(view.op.pk, ()), now) for view in ops]
        self.done = sum(view.op.state in states.OP_TERMINAL for view in ops)
        self.ticks = [(part * 25, self.start + (self.end - self.start) * part / 4) for part in range(4)]

    def _row(self, view: OpView, tries: Sequence[OpEvent], now: datetime) -> Row:
        """The bars of an op: its waiting, the tries that ended without success, and the attempt that it is at."""
        op = view.op
        ended = [(event.started_at, event.at) for event in tries if event.started_at]
        # The op's row tells of the last attempt also when that is over and the op waits again.
        ran_from = None if any(start == op.started_at for start, _ in ended) else op.started_at
        bars: list[Bar] = []
        for begin, end in _waits(op, ended, ran_from, now):
            self._add(bars, "wait", begin, end)
        for begin, end in ended:
            self._add(bars, "fail", begin, end)
        if ran_from:
            kind = {states.SUCCESS: "ok", states.FAILURE: "fail", states.UP_FOR_RETRY: "fail"}.get(op.state, "run")
            self._add(bars, kind if op.ended_at else "run", ran_from, op.ended_at or now)
        growing = {states.RUNNING: op.started_at, states.READY: op.ready_at, states.ADMITTED: op.ready_at}.get(op.state)
        ran = (op.ended_at - ran_from).total_seconds() if ran_from and op.ended_at else None
        if ended and not ran_from and not growing:
            ran = (ended[-1][1] - ended[-1][0]).total_seconds()
        return Row(view, tuple(bars), ran, growing)

    def _add(self, bars: list[Bar], kind: str, begin: datetime, end: datetime) -> None:
        whole = (self.end - self.start).total_seconds()
        left = max(0.0, (begin - self.start).total_seconds() / whole * 100)
        right = min(100.0, (end - self.start).total_seconds() / whole * 100)
        if right - left > 0.15:
            bars.append(Bar(kind, round(left, 2), round(right - left, 2)))


def _waits(op: Op, ended: Sequence[Span], ran_from: datetime | None, now: datetime) -> Iterator[Span]:
    """When an op stood in line: from the time it got there, but for the tries since, after which it kept its place."""
    if op.ready_at is None:
        return
    begin = op.ready_at
    for start, end in ended:
        if end > begin:
            yield begin, start
            begin = end
    if ran_from or op.state in (states.READY, states.ADMITTED):
        yield begin, ran_from or (op.admitted_at if op.state == states.ADMITTED else None) or now
    elif op.ended_at and begin == op.ready_at:
        yield begin, op.ended_at  # it was given up, or canceled, while it waited
