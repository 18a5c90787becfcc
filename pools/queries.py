"""Occupancy, lines and reasons, for people to see. Reads only; decides with the functions of `rules`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from pools import rules
from pools.models import Change, Gate, Hold, PoolSettings, Waiter
from pools.rules import Explanation, Needs

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
    """A pool as a page shows it. `limit` None: unlimited; `own_limit` None: on the default."""

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
    )


def pool_settings() -> PoolSettings:
    """The settings of all pools."""
    return PoolSettings.objects.get()


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


def waiting(holders: Sequence[str]) -> dict[str, Waiting]:
    """Why these candidates wait; those that don't are left out. Two queries, however many there are."""
    return _waiting(Waiter.objects.filter(holder__in=holders))


def _waiting(found: QuerySet[Waiter]) -> dict[str, Waiting]:
    waiters = list(found.select_related("lane"))
    needs = {waiter.pk: (_needs(waiter.lane.needs), _needs(waiter.private)) for waiter in waiters}
    gate_ids = {gate_id for shared, private in needs.values() for gate_id, _ in (*shared, *private)}
    gates = {gate.pk: _state(gate) for gate in Gate.objects.filter(pk__in=gate_ids)}
    return {
        waiter.holder: Waiting(
            waiter.holder, waiter.priority, waiter.since, rules.explain(*needs[waiter.pk], gates.__getitem__)
        )
        for waiter in waiters
    }


def explain(holder: str) -> Explanation | None:
    """Why a candidate waits, gate by gate; None if it does not wait."""
    found = waiting([holder]).get(holder)
    return found.explanation if found else None


def one_slot_helps(pool: str) -> bool:
    """Whether the first in line at a full pool needs one slot of it and nothing else to start."""
    found = _waiting(_line(f"pool:{pool}")[:1])
    blocking = [check for first in found.values() for check in first.explanation.blocking]
    return [(check.gate.key, check.slots) for check in blocking] == [(f"pool:{pool}", 1)]


def place(holder: str, gate_id: int) -> int | None:
    """A candidate's place in line at a gate, from 1; COUNT_TO + 1 for anything beyond. None: not in that line."""
    me = Waiter.objects.filter(holder=holder).first()
    if me is None:
        return None
    ahead = _blocked_at(lane__lanegate__gate=gate_id).filter(
        Q(priority__gt=me.priority)
        | Q(priority=me.priority, since__lt=me.since)
        | Q(priority=me.priority, since=me.since, number__lt=me.number)
    )
    return ahead.order_by()[:COUNT_TO].count() + 1


def changes(subject: str | None = None, most: int = 20) -> list[Change]:
    """The newest lines of the ledger, about one subject or all."""
    found = Change.objects.filter(subject=subject) if subject else Change.objects.all()
    return list(found.order_by("-id")[:most])


def _state(gate: Gate) -> rules.Gate:
    return rules.Gate(gate.pk, gate.kind, gate.key, gate.label, gate.limit, gate.in_use, gate.paused)


def _needs(text: str) -> Needs:
    return tuple((gate_id, slots) for gate_id, slots in json.loads(text))
