"""When those who wait for one limit will likely start: worked out from what is recorded of it (`pools.forecast`).

Nothing is said where that would be a guess: where too few have ended that waited for the limit, where those in line
wait for another limit too, or need several slots at once, or are of kinds that have not held it lately.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone

from pools import forecast, lines, waits
from pools import queries as pool_queries
from pools.forecast import Record, Service
from pools.models import Gate, Hold, Wait
from runs import queries, states
from runs.models import Op, Run
from runs.why import Why

RECORDED = 100  # holds, beside as many as hold now
AGE = timedelta(days=7)  # of what is recorded
FIRST = 100  # in line, of whom it is read what they are
MOST_HOLDERS = 200
KINDS = ("pool", "runs", "run_tag")  # limits whose holds are recorded


class NotKnown(Exception):
    """Nothing can be said; why, in a sentence."""


@dataclass(frozen=True)
class Likely:
    """Half of the times it is `at` or before, nine of ten times between `early` and `late`."""

    early: datetime
    at: datetime
    late: datetime


@dataclass(frozen=True)
class Line:
    """The line of a limit as it stands. With more than `most` in use, those in line would wait for something else."""

    gate: Gate
    record: Record
    service: Service
    most: int | None
    counted: bool  # whether all of them are: a line is counted to 1 000
    now: datetime

    @property
    def number(self) -> int:
        """How many holds are known from their begin to their end."""
        return self.record.number

    def starts(self, places: Iterable[int], limit: int | None = None) -> dict[int, Likely]:
        """When those at some places start, with this limit or another. What is not known is left out."""
        slots = self.service.limit if limit is None else limit
        if self.most is not None and slots > max(self.most, self.service.limit):
            return {}
        found = forecast.starts(self.record, replace(self.service, limit=slots), places)
        return {place: Likely(*map(self._moment, (of.early, of.likely, of.late))) for place, of in found.items()}

    def empty(self, limit: int | None = None) -> Likely | None:
        """When the last of them starts."""
        last = self.service.length
        return self.starts([last], limit).get(last) if self.counted else None

    def _moment(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Start:
    """When one that waits starts, worked out from so many holds of the limit it waits for."""

    likely: Likely
    number: int
    gate: Gate


def of_wait(why: Why) -> Start | None:
    """When a candidate starts. None where that is not known: also where it waits for more than one limit."""
    told = why.waiting.explanation
    if why.line is None or why.place is None or len(told.blocking) != 1 or told.taken:
        return None
    try:
        line = of_gate(why.line.key)
    except NotKnown:
        return None
    likely = line.starts([why.place]).get(why.place)
    return Start(likely, line.number, line.gate) if likely else None


def of_pool(name: str) -> Line:
    """The line of a pool. Raises NotKnown."""
    return of_gate(f"pool:{name}")


def of_gate(key: str) -> Line:
    """The line of a limit. Raises NotKnown. Seven queries, and a few hundred rows, however many wait."""
    gate = next(iter(pool_queries.gates_where(1, key=key)), None)
    if gate is None or gate.kind not in KINDS:
        raise NotKnown("There is nothing recorded of it.")
    holds = _holds(gate)
    waiting = list(lines.first(gate.key, FIRST))
    most = _room(gate, {waiter.lane_id for waiter in waiting})
    now = timezone.now()
    recent = waits.recent(gate.kind, gate.label, RECORDED + len(holds), now - AGE)
    who = [hold.holder for hold in holds], [each.holder for each in waiting], [wait.holder for wait in recent]
    named = queries.named([holder for holders in who for holder in holders])
    record = _record(recent, named, now)
    holding = [(_kind(named.get(hold.holder)), (now - hold.since).total_seconds()) for hold in holds]
    line = [_kind(named.get(waiter.holder)) for waiter in waiting]
    _needs_a_record_of(line, record)
    length = min(gate.line, pool_queries.COUNT_TO)  # type: ignore[attr-defined]
    counted = gate.line <= pool_queries.COUNT_TO  # type: ignore[attr-defined]
    return Line(gate, record, Service(gate.limit or 0, holding, line, length), most, counted, now)


def _holds(gate: Gate) -> list[Hold]:
    """Who holds a limit at which somebody waits for a slot."""
    if gate.paused:
        raise NotKnown("It is paused.")
    if not gate.limit:
        raise NotKnown("Nothing starts while its limit is 0." if gate.limit == 0 else "It has no limit.")
    if not gate.line:  # type: ignore[attr-defined]
        raise NotKnown("Nobody waits for it.")
    if gate.reserved:
        raise NotKnown("Slots of it are kept for one that was overtaken for too long.")
    holds = pool_queries.holds(gate.key, MOST_HOLDERS + 1)
    if len(holds) > MOST_HOLDERS:
        raise NotKnown(f"More than {MOST_HOLDERS} hold it.")
    if any(hold.slots != 1 for hold in holds):
        raise NotKnown("Some hold several slots of it.")
    return holds


def _room(gate: Gate, lane_ids: Iterable[int]) -> int | None:
    """How many slots of a gate could be in use before those in line waited for something else; None: any number."""
    rooms = []
    for needed in lines.needs(lane_ids):
        other = needed.gate
        if needed.lane.prospects != "[]":
            raise NotKnown("Some look out for the pools of their first ops, too.")
        if other.pk == gate.pk:
            if needed.slots != 1:
                raise NotKnown("Some in line need several slots of it.")
        elif other.paused or (other.limit is not None and other.in_use + needed.slots > other.limit):
            raise NotKnown("Some in line wait for another limit, too.")
        elif other.limit is not None:
            rooms.append((other.limit - other.in_use) // needed.slots)
    return gate.in_use + min(rooms) if rooms else None


def _record(recent: Sequence[Wait], named: dict[str, Op | Run], now: datetime) -> Record:
    """How long those were held who waited last, and for how long so far."""
    ended: dict[str, list[float]] = {}
    so_far: dict[str, list[float]] = {}
    for wait in recent:
        who = named.get(wait.holder)
        if isinstance(who, Op) and who.token != wait.token:
            who = None  # it has been tried again since: its row tells of that
        if who is None:
            continue
        if who.ended_at is not None and who.ended_at >= wait.at:
            ended.setdefault(_kind(who), []).append((who.ended_at - wait.at).total_seconds())
        elif who.state in (*states.OP_WITH_SLOTS, states.STARTED, states.CANCELING):
            so_far.setdefault(_kind(who), []).append((now - wait.at).total_seconds())
    record = Record(ended, so_far)
    if record.number < forecast.LEAST:
        days, least = AGE.days, forecast.LEAST
        raise NotKnown(f"Fewer than {least} are recorded that waited for it in the last {days} days and have ended.")
    if record.number + sum(map(len, so_far.values())) < len(recent) * 3 / 4:
        raise NotKnown("For how long it was held is recorded of too few.")
    return record


def _needs_a_record_of(line: Sequence[str], record: Record) -> None:
    if sum(kind in record.seconds for kind in line) < len(line) / 2:
        raise NotKnown("Most of those in line have not held it lately.")


def _kind(who: Op | Run | None) -> str:
    """What is alike in how long it takes: the same op of the same job."""
    if isinstance(who, Op):
        return f"{who.run.job}/{who.key}"
    return who.job if who else ""
