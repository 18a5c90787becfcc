"""What the time of an op went into: spans of waiting, starting, running and of the delays between attempts.

Put together from what was recorded. Spans of an op never overlap, and nothing is made up: what was not
recorded is no span, or a wait of which some seconds belong to no limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from runs import states
from runs.verdict import CRASHED, GIVEN_BACK, LOST

WAITING = "waiting"  # for limits
STARTING = "starting"  # it has its slots, no worker has begun
RUNNING = "running"
DELAYED = "delayed"  # an attempt ended, the next is not due yet
KINDS = (WAITING, STARTING, RUNNING, DELAYED)

KEEP_THEIR_PLACE = (CRASHED, LOST, GIVEN_BACK)  # after these an op mostly waits again at once

Limit = tuple[str, str]  # the kind and the label of a gate
Seconds = Mapping[Limit, float]


@dataclass(frozen=True)
class Wait:
    """A wait that ended when its op was admitted."""

    until: datetime
    seconds: Seconds


@dataclass(frozen=True)
class Attempt:
    """An attempt that did not end with success, and how it ended (see `runs.verdict`)."""

    begin: datetime
    end: datetime
    cause: str


@dataclass(frozen=True)
class Record:
    """What is recorded of an op. `waiting`: what it has waited for by now, if it waits."""

    state: str
    ready_at: datetime | None = None
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waits: Sequence[Wait] = ()
    attempts: Sequence[Attempt] = ()
    waiting: Seconds | None = None


@dataclass(frozen=True)
class Span:
    """A stretch of time. `ended`: of an attempt that is over, how it ended, or its op's final state."""

    kind: str
    begin: datetime
    end: datetime
    ended: str = ""
    waited: Seconds = field(default_factory=dict)  # of a wait, by limit
    goes_on: bool = False

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()


def of_op(op: Record, now: datetime) -> list[Span]:
    """The spans of an op from when it first could start until its end, or now."""
    known = sorted([*_waits(op, now), *_attempts(op, now)], key=lambda span: (span.begin, span.end))
    found: list[Span] = []
    if known and op.ready_at and op.ready_at < known[0].begin:
        found.append(Span(STARTING, op.ready_at, known[0].begin))
    for span in known:
        last = found[-1] if found else None
        if last and last.end < span.begin:
            found.append(Span(_between(last), last.end, span.begin))
        begin = max(span.begin, last.end) if last else span.begin
        if begin < span.end or span.kind == RUNNING:
            found.append(replace(span, begin=begin, end=max(begin, span.end)))
    return [*found, *_rest(op, found[-1] if found else None, now)]


def share(spans: Iterable[Span]) -> dict[str, float]:
    """The seconds of each kind, all spans together."""
    found = dict.fromkeys(KINDS, 0.0)
    for span in spans:
        found[span.kind] += span.seconds
    return found


def at_least_one(spans: Iterable[Span], begin: datetime, end: datetime) -> dict[str, float]:
    """How a stretch of time is parted by what goes on in it: each moment counts once, for the first of these kinds.

    RUNNING, STARTING, WAITING, DELAYED; "" for moments at which nothing does. The seconds add up to the stretch.
    """
    order = (RUNNING, STARTING, WAITING, DELAYED)
    edges: list[tuple[datetime, int, str]] = [(end, 0, "")]
    for span in spans:
        edges += [(max(span.begin, begin), 1, span.kind), (min(span.end, end), -1, span.kind)]
    found = dict.fromkeys((*order, ""), 0.0)
    going_on = dict.fromkeys((*order, ""), 0)
    before = begin
    for moment, change, kind in sorted(edges):
        if before < moment <= end:
            now = next((kind for kind in order if going_on[kind]), "")
            found[now] += (moment - before).total_seconds()
            before = moment
        going_on[kind] += change
    return found


def _waits(op: Record, now: datetime) -> list[Span]:
    found = [Span(WAITING, _before(wait.until, wait.seconds), wait.until, waited=wait.seconds) for wait in op.waits]
    if op.waiting is not None:
        found.append(Span(WAITING, _before(now, op.waiting), now, waited=op.waiting, goes_on=True))
    return found


def _before(end: datetime, seconds: Seconds) -> datetime:
    return end - timedelta(seconds=sum(seconds.values()))


def _attempts(op: Record, now: datetime) -> list[Span]:
    """The attempts. The row of an op tells of the last one, which may be among those recorded, too."""
    found = {attempt.begin: Span(RUNNING, attempt.begin, attempt.end, attempt.cause) for attempt in op.attempts}
    if op.started_at and op.started_at not in found:
        runs = op.state == states.RUNNING
        end = now if runs else op.ended_at or op.started_at
        found[op.started_at] = Span(RUNNING, op.started_at, end, "" if runs else op.state, goes_on=runs)
    return list(found.values())


def _between(last: Span) -> str:
    return DELAYED if last.kind == RUNNING and last.ended != GIVEN_BACK else STARTING


def _rest(op: Record, last: Span | None, now: datetime) -> list[Span]:
    """What came after all that is known, until the op's end or now."""
    begin = last.end if last else op.ready_at
    if begin is None or (last and last.goes_on):
        return []
    if op.state in (states.READY, states.ADMITTED):
        return _some(Span(STARTING, begin, now, goes_on=True))
    if op.state == states.UP_FOR_RETRY:
        return _some(Span(DELAYED, begin, now, goes_on=True))
    if op.ended_at is None:
        return []
    return _stopped(op, last, begin, op.ended_at)


def _stopped(op: Record, last: Span | None, begin: datetime, end: datetime) -> list[Span]:
    """The op was stopped while it did not run. If it waited, for which limits is not recorded."""
    if last and last.kind != RUNNING:
        return _some(Span(STARTING, begin, end))
    asked = op.ready_at or begin
    if last and asked <= begin and last.ended not in KEEP_THEIR_PLACE:
        return _some(Span(DELAYED, begin, end))
    if last and begin < asked < end:
        return [Span(DELAYED, begin, asked), Span(WAITING, asked, end)]
    return _some(Span(WAITING, begin, end))


def _some(span: Span) -> list[Span]:
    return [span] if span.begin < span.end else []
