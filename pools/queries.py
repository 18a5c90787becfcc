"""Occupancy, lines and reasons, for people to see. Reads only; decides with the functions of `rules`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.expressions import RawSQL
from django.db.models.functions import RowNumber
from django.db.models.lookups import Exact
from django.utils import timezone

from pools import claims, reasons, rules, waits
from pools.models import Change, Gate, Hold, Pool, PoolSettings, Waiter
from pools.reasons import Explanation
from pools.rules import Candidate, Needs
from pools.sizing import DELETED, overtaking
from pools.waits import SoFar

COUNT_TO = 1000  # lines are counted exactly up to here, then shown as "1 000+"

# How many a gate has no room for, counted no further than needed. Whoever needs the gate and would fit
# waits for something else and stands in no line here: the comparison is the one of `rules.Gate.blocks`.
_LINE = (
    "SELECT count(*) FROM (SELECT 1 FROM pools_lanegate lg JOIN pools_waiter w ON w.lane_id = lg.lane_id"
    " WHERE lg.gate_id = pools_gate.id AND w.held_by_id IS NULL"
    ' AND (pools_gate.paused OR pools_gate.in_use + lg.slots > pools_gate."limit")'
    f" LIMIT {COUNT_TO + 1}) AS line"
)


@dataclass(frozen=True)
class PoolView:
    """A pool as a page shows it. `limit` None: unlimited; `own_limit` None and `granularity` "": on the default."""

    name: str
    description: str
    limit: int | None
    own_limit: int | None
    in_use: int
    waiting: int
    oldest: datetime | None
    paused_at: datetime | None
    paused_by: str
    pause_reason: str
    version: int
    own_granularity: str  # op, run; "": the one of all pools
    kept: int  # slots reserved for one that others have overtaken for too long
    kept_for: str  # its holder; "": nothing is kept

    @property
    def paused(self) -> bool:
        return self.paused_at is not None

    @property
    def free(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.in_use)

    @property
    def full(self) -> bool:
        return self.limit is not None and self.in_use >= self.limit

    @property
    def over(self) -> int:
        """Holders beyond a limit that was lowered under them."""
        return 0 if self.limit is None else max(0, self.in_use - self.limit)

    @property
    def waiting_shown(self) -> str:
        return counted(self.waiting)


def counted(number: int) -> str:
    """A capped count in words: "17", "1 000+"."""
    return "1 000+" if number > COUNT_TO else str(number)


def pools() -> list[PoolView]:
    """All pools, those with a line first, then the fullest."""
    found = [_pool_view(gate) for gate in _pool_gates()]

    def busiest(pool: PoolView) -> tuple[int, float, str]:
        share = pool.in_use / pool.limit if pool.limit else float(pool.in_use > 0)
        return (-pool.waiting, -share, pool.name)

    return sorted(found, key=busiest)


def pool(name: str) -> PoolView | None:
    """One pool, None if nobody has named it."""
    gate = _pool_gates().filter(pool__name=name).first()
    return _pool_view(gate) if gate else None


def _pool_gates() -> QuerySet[Gate]:
    oldest = (
        _blocked_at(lane__lanegate__gate=OuterRef("pk"))
        .order_by()
        .values("lane__lanegate__gate")
        .annotate(oldest=Min("since"))
        .values("oldest")
    )
    return (
        Gate.objects.filter(kind="pool")
        .select_related("pool")
        .annotate(line=RawSQL(_LINE, []), oldest=Subquery(oldest))
    )


def _pool_view(gate: Gate) -> PoolView:
    pool = gate.pool
    return PoolView(
        name=pool.name,
        description=pool.description,
        limit=gate.limit,
        own_limit=pool.limit,
        in_use=gate.in_use,
        waiting=gate.line,  # type: ignore[attr-defined]
        oldest=gate.oldest,  # type: ignore[attr-defined]
        paused_at=pool.paused_at,
        paused_by=pool.paused_by,
        pause_reason=pool.pause_reason,
        version=pool.version,
        own_granularity=pool.granularity,
        kept=gate.reserved,
        kept_for=gate.reserved_for,
    )


def pool_settings() -> PoolSettings:
    """The settings of all pools."""
    return PoolSettings.objects.get()


def followers() -> dict[str, int]:
    """How many pools have no limit of their own, and how many no granularity: they follow the defaults."""
    return Pool.objects.aggregate(
        limit=Count("id", filter=Q(limit=None)), granularity=Count("id", filter=Q(granularity=""))
    )


def gates(*kinds: str) -> list[Gate]:
    """The gates of some kinds, each with its `line`: how many it has no room for, up to COUNT_TO + 1."""
    return list(Gate.objects.filter(kind__in=kinds).annotate(line=RawSQL(_LINE, [])).order_by("key"))


def holds(gate_key: str, most: int = 200) -> list[Hold]:
    """Who holds slots of a gate, longest first."""
    return list(Hold.objects.filter(gate__key=gate_key).order_by("since", "id")[:most])


def line(gate_key: str, most: int = 50) -> list[Waiter]:
    """Who stands in line at a gate, in the order in which they would be let in."""
    return list(_line(gate_key)[:most])


def _line(gate_key: str) -> QuerySet[Waiter]:
    waiters = _blocked_at(lane__lanegate__gate__key=gate_key)
    return waiters.order_by(F("priority").desc(), "since", "number")


def _blocked_at(**which: object) -> QuerySet[Waiter]:
    """The waiters that a gate has no room for; the same as _LINE counts."""
    use = F("lane__lanegate__gate__in_use") + F("lane__lanegate__slots")
    full = Q(lane__lanegate__gate__paused=True) | Q(lane__lanegate__gate__limit__lt=use)
    return Waiter.objects.filter(full, held_by=None, **which)


def in_line() -> int:
    """How many candidates wait in all, those beside a line too, up to COUNT_TO + 1."""
    return Waiter.objects.order_by()[: COUNT_TO + 1].count()


@dataclass(frozen=True)
class Waiting:
    """A candidate that waits, and why."""

    holder: str
    priority: int
    since: datetime
    explanation: Explanation
    spent: SoFar


def waiting(holders: Sequence[str]) -> dict[str, Waiting]:
    """Why these candidates wait; those that don't are left out. Two queries, however many there are."""
    return _waiting(Waiter.objects.filter(holder__in=holders))


def _waiting(found: QuerySet[Waiter]) -> dict[str, Waiting]:
    rows = list(found.select_related("lane"))
    candidates = [
        Candidate(row.pk, row.holder, row.lane_id, row.priority, row.since, row.number, _needs(row.private))
        for row in rows
    ]
    needs = [_needs(row.lane.needs) for row in rows]
    prospects = [tuple(tuple(group) for group in json.loads(row.lane.prospects)) for row in rows]
    looked_at = {gate_id for groups in prospects for group in groups for gate_id in group}
    gates = _Gates()
    needed = {gate_id for row, own in zip(needs, candidates, strict=True) for gate_id, _ in (*row, *own.private)}
    gates.load(needed.union(looked_at, *map(waits.gates_of, rows)))
    settings = pool_settings() if looked_at else None
    if settings is None or not settings.check_at_queue:
        prospects, looked_at = [()] * len(rows), set()
    waited_for = claims.waited_for(sorted(looked_at), gates.load, gates.get)
    buffer = settings.run_buffer if settings else 0
    now = timezone.now()
    explained = {}
    for row, candidate, wanted, groups in zip(rows, candidates, needs, prospects, strict=True):
        try:
            explanation = reasons.explain(candidate, wanted, gates.get, groups, waited_for, buffer)
        except KeyError:
            continue  # its run has ended since: its gates are gone
        spent = waits.so_far(row, gates.find, now)
        explained[row.holder] = Waiting(row.holder, row.priority, row.since, explanation, spent)
    return explained


class _Gates:
    """Gates as they stood when they were first asked for."""

    def __init__(self) -> None:
        self._known: dict[int, rules.Gate] = {}

    def load(self, gate_ids: Iterable[int]) -> None:
        wanted = [gate_id for gate_id in gate_ids if gate_id not in self._known]
        if wanted:
            self._known |= {gate.pk: _state(gate) for gate in Gate.objects.filter(pk__in=wanted)}

    def get(self, gate_id: int) -> rules.Gate:
        """Raises KeyError for a gate that is not there."""
        return self._known[gate_id]

    def find(self, gate_id: int) -> rules.Gate | None:
        return self._known.get(gate_id)


def explain(holder: str) -> Explanation | None:
    """Why a candidate waits, gate by gate; None if it does not wait."""
    found = waiting([holder]).get(holder)
    return found.explanation if found else None


def one_slot_helps(pool: str) -> bool:
    """Whether the first in line at a full pool needs one slot of it and nothing else to start."""
    found = _waiting(_line(f"pool:{pool}")[:1])
    blocking = [check for first in found.values() for check in first.explanation.blocking]
    return [(check.gate.key, check.slots) for check in blocking] == [(f"pool:{pool}", 1)]


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands in the line of a gate: its place from 1, COUNT_TO + 1 for anything beyond."""

    place: int
    ahead: list[Waiter]  # the first of those before it


def standing(holder: str, gate_id: int, most: int = 5) -> Standing | None:
    """Where a candidate stands in the line of a gate. None: it does not wait."""
    me = Waiter.objects.filter(holder=holder).first()
    if me is None:
        return None
    ahead = _blocked_at(lane__lanegate__gate=gate_id).filter(
        Q(priority__gt=me.priority)
        | Q(priority=me.priority, since__lt=me.since)
        | Q(priority=me.priority, since=me.since, number__lt=me.number)
    )
    first = list(ahead.order_by(F("priority").desc(), "since", "number")[:most])
    place = len(first) if len(first) < most else ahead.order_by()[:COUNT_TO].count()
    return Standing(place + 1, first)


def holders_of(gate_ids: Iterable[int], most: int = 10) -> dict[int, list[Hold]]:
    """Who holds slots of each of these gates, longest first, `most` of each."""
    rank = Window(RowNumber(), partition_by="gate", order_by=["since", "id"])
    found: dict[int, list[Hold]] = {}
    for hold in Hold.objects.filter(gate__in=list(gate_ids)).annotate(rank=rank).filter(rank__lte=most):
        found.setdefault(hold.gate_id, []).append(hold)
    return {gate_id: sorted(holds, key=lambda hold: (hold.since, hold.pk)) for gate_id, holds in found.items()}


def changes(*subjects: str, most: int = 20, before: int | None = None) -> list[Change]:
    """The newest lines of the ledger, about some subjects or all; with `before`, those older than that one.

    A subject that ends with a colon stands for all that begin with it. Each line is `overtaken` or not: see
    `sizing.overtaking`.
    """
    about = Q()
    for subject in subjects:
        about |= Q(subject__startswith=subject) if subject.endswith(":") else Q(subject=subject)
    found = Change.objects.filter(about) if before is None else Change.objects.filter(about, id__lt=before)
    newer = Change.objects.filter(subject=OuterRef("subject"), id__gt=OuterRef("pk"))
    same = Q(field=OuterRef("field")) | Q(field=DELETED) | Q(Exact(OuterRef("field"), Value(DELETED)))
    return list(found.annotate(overtaken=Exists(newer.filter(same))).order_by("-id")[:most])


def change(change_id: int) -> tuple[Change, Change | None]:
    """A line of the ledger, and the newest that overtook it. Raises Change.DoesNotExist."""
    found = Change.objects.get(pk=change_id)
    return found, overtaking(found).first()


def _state(gate: Gate) -> rules.Gate:
    return rules.Gate(
        gate.pk,
        gate.kind,
        gate.key,
        gate.label,
        gate.limit,
        gate.in_use,
        gate.paused,
        reservation=claims.reservation(gate.reserved_for, gate.reserved, gate.reserved_priority),
    )


def _needs(text: str) -> Needs:
    return tuple((gate_id, slots) for gate_id, slots in json.loads(text))
