"""Reads the engine's book, in whatever transaction the caller has opened: all of it stands as at one moment."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping

from django.db.models import Count, F, OuterRef, Q, Subquery

from pools import claims, seen
from pools.audit.books import AsideRow, Books, GateRow, HoldRow, LaneRow, WaiterRow, Wanted
from pools.models import Gate, Hold, Lane, LaneGate, Pool, PoolSettings, Prospect, Waiter
from pools.rules import Gate as GateAsItStands
from pools.rules import Lane as LaneAsItStands

AT_ONCE = 500  # holders named in one query: SQLite takes no more than a thousand


def books_of(waiters_of: Collection[str]) -> Books:
    """The engine's book, with these waiters and those of whom slots are reserved.

    What was set for a pool's gate is in it; what was set for others, `wanted`, is their owner's to say.
    """
    settings = PoolSettings.objects.get()
    gates = _gates(settings)
    lanes = list(_lanes())
    looked_at = sorted({gate_id for row in lanes for gate_id in row.looked_at & gates.keys()})
    reserved = {row.gate.reservation.holder for row in gates.values() if row.gate.reservation}
    return Books(
        gates,
        lanes,
        list(_aside()),
        [HoldRow(*row) for row in Hold.objects.values_list(*_HOLD).order_by("id")],
        list(_waiters({*waiters_of, *reserved})),
        claims.waited_for(looked_at, lambda ids: None, lambda gate_id: _at(gates, gate_id)),
        settings.check_at_queue,
        settings.run_buffer,
    )


_HOLD = ("gate_id", "holder", "slots", "token", "since", "lease_until")


def _gates(settings: PoolSettings) -> dict[int, GateRow]:
    pools = {pool.gate_id: pool for pool in Pool.objects.all()}
    return {
        gate.pk: GateRow(
            seen.gate(gate),
            gate.cap,
            gate.family,
            _wanted(pools[gate.pk], settings) if gate.pk in pools else None,
        )
        for gate in Gate.objects.order_by("id")
    }


def _at(gates: Mapping[int, GateRow], gate_id: int) -> GateAsItStands:
    """A gate; one that is gone blocks nobody: whoever names it is found out elsewhere."""
    return gates[gate_id].gate if gate_id in gates else GateAsItStands(gate_id, "executor", "", "", None, 0)


def _wanted(pool: Pool, settings: PoolSettings) -> Wanted:
    paused = pool.paused_at is not None
    if paused:
        says = f"pool {pool.name} is paused by {pool.paused_by}"
    elif pool.limit is None:
        says = f"pool {pool.name} has no limit of its own, and the default is {_shown(settings.default_limit)}"
    else:
        says = f"pool {pool.name} is set to {pool.limit}"
    return Wanted(settings.default_limit if pool.limit is None else pool.limit, says, paused)


def _shown(limit: int | None) -> str:
    return "none" if limit is None else str(limit)


def _lanes() -> Iterator[LaneRow]:
    line = Waiter.objects.filter(lane=OuterRef("pk"), held_by=None).order_by("-priority", "since", "number")
    rows = list(Lane.objects.annotate(first=Subquery(line.values("pk")[:1])).order_by("id"))
    first = {row.first for row in rows if row.first is not None}
    heads = {
        waiter.lane_id: seen.candidate(waiter)
        for some in _batches(first)
        for waiter in Waiter.objects.filter(pk__in=some)
    }
    named: dict[int, set[tuple[int, int]]] = {}
    for lane_id, gate_id, slots in LaneGate.objects.values_list("lane", "gate", "slots"):
        named.setdefault(lane_id, set()).add((gate_id, slots))
    looked_at: dict[int, set[int]] = {}
    for lane_id, gate_id in Prospect.objects.values_list("lane", "gate"):
        looked_at.setdefault(lane_id, set()).add(gate_id)
    for row in rows:
        yield LaneRow(
            LaneAsItStands(
                row.pk,
                claims.needs_of(row.needs),
                row.blocked_on_id,
                tuple(tuple(group) for group in json.loads(row.prospects)),
                row.without_prospect,
            ),
            row.dirty,
            heads.get(row.pk),
            frozenset(named.get(row.pk, ())),
            frozenset(looked_at.get(row.pk, ())),
        )


def _aside() -> Iterator[AsideRow]:
    """Only of gates with room, those that may be forgotten: nobody is counted whom a full gate holds back."""
    has_room = Q(held_by__paused=False) & (Q(held_by__limit=None) | Q(held_by__limit__gt=F("held_by__in_use")))
    groups = (
        Waiter.objects.filter(has_room, held_by__isnull=False)
        .order_by()
        .values_list("held_by", "lane")
        .annotate(count=Count("id"))
    )
    for gate_id, lane_id, count in groups:
        in_line = Waiter.objects.filter(lane=lane_id, held_by=None, private__contains=f"[{gate_id}, ")
        yield AsideRow(gate_id, lane_id, count, in_line.exists())


def _waiters(holders: Collection[str]) -> Iterator[WaiterRow]:
    for some in _batches(holders):
        for row in Waiter.objects.filter(holder__in=some).values_list("holder", "priority", "since").order_by("holder"):
            yield WaiterRow(*row)


def _batches(values: Iterable[str | int]) -> Iterator[list[str | int]]:
    ordered = sorted(values, key=str)
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]
