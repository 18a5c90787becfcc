"""Who stands in line at a gate: found and counted without reading the line, however long it is.

A gate's line is in the lanes that need it and for which it has no room. Whoever needs the gate and would fit waits for
something else and stands in no line here: the comparison is the one of `rules.Gate.blocks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, F, IntegerField, QuerySet
from django.db.models.expressions import RawSQL

from pools.firsts import first_of_each, marks
from pools.models import LaneGate, Waiter

COUNT_TO = 1000  # lines are counted exactly up to here, then shown as "1 000+"

_IN_ORDER = (F("priority").desc(), "since", "number")
# The lanes of a line, as `lg` beside a row of pools_gate.
_LANES = 'lg.gate_id = pools_gate.id AND (pools_gate.paused OR pools_gate.in_use + lg.slots > pools_gate."limit")'
_IN_LANE = "w.lane_id = {} AND w.held_by_id IS NULL"
_FIRST = "ORDER BY w.priority DESC, w.since, w.number LIMIT %s"

# Since when the one waits that has waited longest at a pool: the first of each priority in each lane is looked at. They
# are found by jumping along the index of the line, not by reading it.
_NEXT_PRIORITY = "(SELECT w.priority FROM pools_waiter w WHERE {} ORDER BY w.priority DESC LIMIT 1)"
_HIGHEST = _NEXT_PRIORITY.format(_IN_LANE.format("lg.lane_id"))
_NEXT = _NEXT_PRIORITY.format(_IN_LANE.format("f.lane_id") + " AND w.priority < f.priority")
_OLDEST = (
    "CASE WHEN pools_gate.kind = 'pool' THEN (WITH RECURSIVE front(lane_id, priority) AS ("
    f"SELECT lg.lane_id, {_HIGHEST} FROM pools_lanegate lg WHERE {_LANES}"
    f" UNION ALL SELECT f.lane_id, {_NEXT} FROM front f WHERE f.priority IS NOT NULL)"
    f" SELECT min((SELECT w.since FROM pools_waiter w WHERE {_IN_LANE.format('f.lane_id')}"
    " AND w.priority = f.priority ORDER BY w.since LIMIT 1)) FROM front f WHERE f.priority IS NOT NULL) END"
)


def count(most: int = COUNT_TO) -> RawSQL:
    """How many stand in the line of a gate, counted up to `most` + 1: to annotate gates with."""
    line = f"SELECT 1 FROM pools_lanegate lg {_waiters('true', most + 1)} WHERE {_LANES} LIMIT {most + 1}"
    return RawSQL(f"SELECT count(*) FROM ({line}) AS line", [], output_field=IntegerField())


def oldest() -> RawSQL:
    """Since when the one waits that has waited longest in the line of a pool: to annotate gates with."""
    return RawSQL(_OLDEST, [], output_field=DateTimeField(null=True))


def first(gate_key: str, most: int) -> QuerySet[Waiter]:
    """The first in the line of a gate, in order."""
    return Waiter.objects.filter(pk__in=RawSQL(*_first_of_lanes(gate_key, most))).order_by(*_IN_ORDER)[:most]


def needs(lane_ids: Iterable[int]) -> list[LaneGate]:
    """What whoever stands in these lanes needs, each with its lane and its gate."""
    return list(LaneGate.objects.filter(lane__in=list(lane_ids)).select_related("lane", "gate"))


def these_and_first(holders: Sequence[str], gate_key: str) -> QuerySet[Waiter]:
    """These, as far as they wait, and the first in the line of a gate. By one list of ids, as an OR reads all."""
    first, params = _first_of_lanes(gate_key, 1)
    best = f"SELECT w.id FROM pools_waiter w WHERE w.id IN ({first}) {_FIRST}"
    these = f"SELECT id FROM pools_waiter WHERE holder IN ({marks(holders)}) UNION ALL " if holders else ""
    return Waiter.objects.filter(pk__in=RawSQL(f"{these}SELECT id FROM ({best}) AS best", [*holders, *params, 1]))


def this_and(holder: str, others: RawSQL) -> QuerySet[Waiter]:
    """This one and others, as far as they wait. `others` selects the names of holders, as `holder`."""
    of_one = "SELECT w.id FROM pools_waiter w WHERE w.holder = asking.holder LIMIT 1"
    found = first_of_each(f"({others.sql}) AS asking", "pools_waiter", of_one)
    ids = f"SELECT id FROM pools_waiter WHERE holder = %s UNION ALL {found}"
    return Waiter.objects.filter(pk__in=RawSQL(ids, [holder, *others.params]))


def _first_of_lanes(gate_key: str, most: int) -> tuple[str, list[Any]]:
    """The first of each lane of a gate's line, by id."""
    lanes = f"pools_gate JOIN pools_lanegate lg ON pools_gate.key = %s AND {_LANES}"
    of_lane = f"SELECT w.id FROM pools_waiter w WHERE {_IN_LANE.format('lg.lane_id')} {_FIRST}"
    return first_of_each(lanes, "pools_waiter", of_lane), [gate_key, most]


def count_before(gate_id: int, priority: int, since: datetime, number: int) -> RawSQL:
    """How many of a gate's line come before a place in it, up to COUNT_TO."""
    at = connection.ops.adapt_datetimefield_value(since)
    before = (
        ("w.priority > %s", [priority]),
        ("w.priority = %s AND w.since < %s", [priority, at]),
        ("w.priority = %s AND w.since = %s AND w.number < %s", [priority, at, number]),
    )
    parts, params = [], []
    for condition, values in before:
        lanes = f"pools_gate JOIN pools_lanegate lg ON pools_gate.id = %s AND {_LANES}"
        parts.append(f"SELECT 1 FROM {lanes} {_waiters(condition, COUNT_TO)}")
        params += [gate_id, *values]
    return RawSQL(f"SELECT count(*) FROM ({' UNION ALL '.join(parts)} LIMIT {COUNT_TO}) AS before", params)


def _waiters(condition: str, most: int) -> str:
    """Joins lanes with those who stand in them. PostgreSQL would read all who wait, and needs to be told to go lane by
    lane, along the index, and no further than is counted; SQLite does.
    """
    these = f"{_IN_LANE.format('lg.lane_id')} AND {condition}"
    if connection.vendor == "postgresql":
        return f"CROSS JOIN LATERAL (SELECT 1 FROM pools_waiter w WHERE {these} {_FIRST % most}) AS w"
    return f"JOIN pools_waiter w ON {these}"
