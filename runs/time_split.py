"""Where the time of a run went: in the queue and by which limit, and its ops waiting, starting, running, delayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from pools import waits
from pools.explain import Waiting
from pools.waits import Limit
from runs import lineage, spans, states
from runs.models import OpEvent, Run
from runs.queries import OpView
from runs.spans import Span
from runs.transitions import op_holder, run_holder

QUEUED = "queued"
UNKNOWN = ""  # of this time nothing is recorded
LEAST = 0.1  # seconds; what is less is not missed
ORDER = (spans.RUNNING, spans.STARTING, spans.WAITING, spans.DELAYED)


@dataclass(frozen=True)
class Part:
    """A part of some time. `grows`: by how many seconds a second. `limit` None: for which limit is not recorded."""

    kind: str
    seconds: float
    grows: int = 0
    limit: Limit | None = None
    limits: Sequence[Part] = ()  # the same by limit, longest first; they add up to it


@dataclass(frozen=True)
class TimeSplit:
    """The time of a run in two ways: the clock's, from its launch to its end or now, and that of all its ops together.

    The parts of each add up to its whole. `spans`: those of each op, by its id.
    """

    run: Sequence[Part]
    ops: Sequence[Part]
    spans: Mapping[int, Sequence[Span]]

    @property
    def whole(self) -> Part:
        return _whole(self.run)

    @property
    def together(self) -> Part:
        return _whole(self.ops)


def of_run(run: Run, ops: Sequence[OpView], waiting: Waiting | None) -> TimeSplit:
    """The split of a run, of which `ops` are all ops. `waiting`: why it waits in the queue, if it does."""
    now = timezone.now()
    # What has not started has waited for nothing yet, to the end.
    waited = waits.of([run_holder(run.pk), *(op_holder(view.op.pk) for view in ops)]) if run.started_at else {}
    tries = lineage.tries_of(run, (view.op for view in ops))
    of_ops = {view.op.pk: spans.of_op(_record(view, waited, tries.get(view.op.pk, ())), now) for view in ops}
    in_queue = _in_queue(run, waited.get(run_holder(run.pk), []), waiting, now)
    together = _together([span for found in of_ops.values() for span in found], ops)
    by_clock = _by_clock(run, of_ops, now)
    if len(of_ops) == 1:  # then both are the same, and one is enough
        limits = {part.kind: part.limits for part in together}
        by_clock = [replace(part, limits=limits.get(part.kind, ())) for part in by_clock]
        together = []
    return TimeSplit(rounded([in_queue, *by_clock]), rounded(together), of_ops)


def of_op(view: OpView) -> list[Span]:
    """The spans of one op."""
    holder = op_holder(view.op.pk)
    return spans.of_op(_record(view, waits.of([holder]), lineage.tries(view.op)), timezone.now())


def rounded(parts: Sequence[Part], whole: float | None = None, steps: int | None = None) -> list[Part]:
    """The parts in whole seconds, in tenths if all is less than ten seconds, so that what is shown adds up, too.

    `whole` is what they are to add up to, in so many `steps` a second, if that was rounded already. A part that comes
    to nothing and does not grow is left out.
    """
    whole = sum(part.seconds for part in parts) if whole is None else whole
    steps = steps or (1 if whole >= 10 else 10)
    counts = [int(part.seconds * steps + 1e-6) for part in parts]
    missing = int(whole * steps + 1e-6) - sum(counts)
    cut_off = sorted(range(len(parts)), key=lambda n: counts[n] - parts[n].seconds * steps)
    for n in cut_off[: max(0, missing)]:
        counts[n] += 1
    found = []
    for part, count in zip(parts, counts, strict=True):
        if count or part.grows:
            seconds = count / steps
            found.append(replace(part, seconds=seconds, limits=rounded(part.limits, seconds, steps)))
    return found


def _attempts(tries: Iterable[OpEvent]) -> list[spans.Attempt]:
    """The attempts that did not end with success."""
    return [spans.Attempt(event.started_at, event.at, event.kind) for event in tries if event.started_at]


def _record(view: OpView, waited: Mapping[str, list[waits.Waited]], tries: Iterable[OpEvent]) -> spans.Record:
    op = view.op
    return spans.Record(
        op.state,
        op.ready_at,
        op.admitted_at,
        op.started_at,
        op.ended_at,
        [spans.Wait(wait.until, wait.seconds) for wait in waited.get(op_holder(op.pk), [])],
        _attempts(tries),
        view.waiting.spent.seconds if view.waiting else None,
    )


def _in_queue(run: Run, waited: Sequence[waits.Waited], waiting: Waiting | None, now: datetime) -> Part:
    """The time until the run started; or until its end, if it never did."""
    end = run.started_at or run.ended_at or now
    seconds = (end - run.queued_at).total_seconds()
    grows = int(run.state == states.QUEUED)
    if waiting:
        limits = _limits(QUEUED, [waiting.spent.seconds], [waiting.spent.on], seconds)
    else:
        limits = _limits(QUEUED, [wait.seconds for wait in waited[-1:]], [], seconds)
    return Part(QUEUED, seconds, grows, limits=limits)


def _by_clock(run: Run, of_ops: Mapping[int, Sequence[Span]], now: datetime) -> list[Part]:
    """The time from the run's start, each moment counted once."""
    if run.started_at is None:
        return []
    found = [span for spans_of in of_ops.values() for span in spans_of]
    by_kind = spans.at_least_one(found, run.started_at, run.ended_at or now)
    going_on = {span.kind for span in found if span.goes_on}
    growing = None if run.ended_at else next((kind for kind in ORDER if kind in going_on), UNKNOWN)
    return [Part(kind, by_kind[kind], int(kind == growing)) for kind in (*ORDER, UNKNOWN)]


def _together(found: Sequence[Span], ops: Sequence[OpView]) -> list[Part]:
    """The time of all ops added up."""
    parts = []
    for kind, seconds in spans.share(found).items():
        grows = sum(span.kind == kind and span.goes_on for span in found)
        limits: list[Part] = []
        if kind == spans.WAITING:
            waited = [span.waited for span in found if span.kind == kind]
            limits = _limits(kind, waited, [view.waiting.spent.on for view in ops if view.waiting], seconds)
        parts.append(Part(kind, seconds, grows, limits=limits))
    return sorted(parts, key=lambda part: ORDER.index(part.kind))


def _limits(kind: str, waited: Iterable[Mapping[Limit, float]], on: Iterable[Limit | None], whole: float) -> list[Part]:
    """A wait by limit, longest first, with what no limit is recorded for."""
    seconds: dict[Limit | None, float] = {}
    for one in waited:
        for limit, spent in one.items():
            seconds[limit] = seconds.get(limit, 0.0) + spent
    missing = whole - sum(seconds.values())
    if seconds and missing >= max(LEAST, whole / 100):
        seconds[None] = missing
    growing = list(on)
    parts = [Part(kind, spent, growing.count(limit) if limit else 0, limit) for limit, spent in seconds.items()]
    return sorted(parts, key=lambda part: (part.limit is None, -part.seconds))


def _whole(parts: Sequence[Part]) -> Part:
    return Part(UNKNOWN, sum(part.seconds for part in parts), sum(part.grows for part in parts))
