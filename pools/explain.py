"""Why candidates wait, and where they stand: reads only, decides with the functions of `rules` and `reasons`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from pools import claims, lines, reasons, rules, seen, waits
from pools.models import Gate, Waiter
from pools.queries import NOTHING, Also, Picture, picture_of
from pools.reasons import Explanation
from pools.rules import Candidate, GateSpec, Need
from pools.waits import SoFar


@dataclass(frozen=True)
class Waiting:
    """A candidate that waits, and why."""

    holder: str
    priority: int
    since: datetime
    number: int
    explanation: Explanation
    candidate: Candidate
    spent: SoFar


def waiting(holders: Sequence[str], picture: Picture | None = None) -> dict[str, Waiting]:
    """Why these candidates wait; those that don't are left out. A few queries, however many there are.

    With a `picture` its gates are not asked for again.
    """
    return _waiting(Waiter.objects.filter(holder__in=holders), picture)[0]


def waiting_and_met(
    holders: Sequence[str], with_slots: Sequence[str], also: Also | None = None
) -> tuple[dict[str, Waiting], Picture]:
    """The same, and all gates that these candidates or those `with_slots` meet: see `queries.picture_of`."""
    return _waiting(Waiter.objects.filter(holder__in=holders), None, with_slots, also)


def waiting_beside(holder: str, others: RawSQL, also: Also | None = None) -> tuple[dict[str, Waiting], Picture]:
    """Why a candidate waits, and others whose names a query selects (`lines.this_and`); and the gates they meet."""
    return _waiting(lines.this_and(holder, others), None, None, also)


def waiting_and_first(
    holders: Sequence[str], pool: str, picture: Picture | None = None
) -> tuple[dict[str, Waiting], Waiting | None]:
    """The same, and why the first in the line of a pool waits (None: nobody does)."""
    found, _ = _waiting(lines.these_and_first(holders, f"pool:{pool}"), picture)
    in_order = sorted(found.values(), key=lambda one: (-one.priority, one.since, one.number))
    blocked = (one for one in in_order if any(check.gate.key == f"pool:{pool}" for check in one.explanation.blocking))
    return found, next(blocked, None)


def needs_one_slot(first: Waiting | None, pool: str) -> bool:
    """Whether a candidate needs one slot of a pool and nothing else to start."""
    blocking = first.explanation.blocking if first else []
    return [(check.gate.key, check.slots) for check in blocking] == [(f"pool:{pool}", 1)]


def of(holder: str) -> Explanation | None:
    """Why a candidate waits, gate by gate; None if it does not wait."""
    found = waiting([holder]).get(holder)
    return found.explanation if found else None


def _waiting(
    found: QuerySet[Waiter],
    picture: Picture | None,
    with_slots: Sequence[str] | None = None,
    also: Also | None = None,
) -> tuple[dict[str, Waiting], Picture]:
    rows = list(found.select_related("lane"))
    candidates = [seen.candidate(row) for row in rows]
    needs = [claims.needs_of(row.lane.needs) for row in rows]
    prospects = [tuple(tuple(group) for group in json.loads(row.lane.prospects)) for row in rows]
    looked_at = {gate_id for groups in prospects for group in groups for gate_id in group}
    wanted = set(looked_at)
    for row, needed, own in zip(rows, needs, candidates, strict=True):
        wanted |= {gate_id for gate_id, _ in (*needed, *own.private)} | waits.gates_of(row)
    if picture is None:
        picture = picture_of(wanted, with_slots, also) if wanted or with_slots else NOTHING
    gates = _Gates(picture)
    gates.load(wanted)
    if not picture.check_at_queue:
        prospects, looked_at = [()] * len(rows), set()
    buffer = picture.run_buffer
    waited_for = _waited_for(looked_at, gates, buffer)
    now = timezone.now()
    explained = {}
    for row, candidate, needed, groups in zip(rows, candidates, needs, prospects, strict=True):
        try:
            explanation = reasons.explain(candidate, needed, gates.get, groups, waited_for, buffer)
        except KeyError:
            continue  # its run has ended since: its gates are gone
        spent = waits.so_far(row, gates.find, now)
        explained[row.holder] = Waiting(row.holder, row.priority, row.since, row.number, explanation, candidate, spent)
    return explained, picture


def _waited_for(gate_ids: Collection[int], gates: _Gates, buffer: int) -> dict[int, int]:
    """What is waited for at gates that are prospects: as much as tells whether slots are left over, and COUNT_TO."""
    limits = [gates.get(gate_id).limit or 0 for gate_id in gate_ids]
    enough = max([lines.COUNT_TO, *(limit + buffer for limit in limits)])
    return claims.waited_for(sorted(gate_ids), gates.load, gates.get, enough)


@dataclass(frozen=True)
class Newcomer:
    """Somebody who has not asked yet. `holder`: what it would be called, its kind at least."""

    holder: str
    priority: int
    needs: Sequence[Need]
    prospects: Sequence[Sequence[GateSpec]] = ()


def newcomers(them: Sequence[Newcomer], picture: Picture) -> list[Explanation]:
    """How each would find its limits if it asked now.

    `picture` has all gates that they need and that are there; one that is not there yet is as it would be born.
    """
    known = {row.key: seen.gate(row) for row in picture.gates.values()}
    for spec in (spec for one in them for spec in _specs_of(one)):
        if spec.key not in known:
            limit = picture.default_limit if spec.kind == "pool" else spec.limit
            known[spec.key] = rules.Gate(-len(known) - 1, spec.kind, spec.key, spec.label, limit, 0)
    gates = _Gates(None, known.values())
    looked_at = {known[spec.key].id for one in them for group in one.prospects for spec in group}
    real = [gate_id for gate_id in looked_at if gate_id > 0] if picture.check_at_queue else []
    waited_for = _waited_for(real, gates, picture.run_buffer)
    now = timezone.now()
    explained = []
    for one in them:
        candidate = Candidate(0, one.holder, 0, one.priority, now, 0)
        in_order = sorted(one.needs, key=lambda need: (rules.KINDS.index(need.gate.kind), need.gate.key))
        needs = tuple((known[need.gate.key].id, need.slots) for need in in_order)
        groups = tuple(tuple(known[spec.key].id for spec in group) for group in one.prospects)
        outlook = groups if picture.check_at_queue else ()
        explained.append(reasons.explain(candidate, needs, gates.get, outlook, waited_for, picture.run_buffer))
    return explained


def _specs_of(one: Newcomer) -> list[GateSpec]:
    return [*(need.gate for need in one.needs), *(spec for group in one.prospects for spec in group)]


class _Gates:
    """Gates as they stood when the first of them was looked at. All that are to be loaded by then are asked at once."""

    def __init__(self, picture: Picture | None, known: Iterable[rules.Gate] = ()) -> None:
        self._known = {gate_id: seen.gate(gate) for gate_id, gate in picture.gates.items()} if picture else {}
        self._known |= {gate.id: gate for gate in known}
        self._wanted: set[int] = set()

    def load(self, gate_ids: Iterable[int]) -> None:
        self._wanted.update(gate_ids)

    def get(self, gate_id: int) -> rules.Gate:
        """Raises KeyError for a gate that is not there."""
        missing = self._wanted - self._known.keys()
        self._wanted.clear()
        if missing:
            self._known |= {
                gate.pk: seen.gate(gate) for gate in Gate.objects.filter(pk__in=missing).select_related("pool")
            }
        return self._known[gate_id]

    def find(self, gate_id: int) -> rules.Gate | None:
        try:
            return self.get(gate_id)
        except KeyError:
            return None


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands in the line of a gate: its place from 1, COUNT_TO + 1 for anything beyond."""

    place: int
    ahead: Sequence[Waiter]  # the first of those before it


def standing(one: Waiting, gate: rules.Gate, most: int = 5) -> Standing:
    """Where a candidate that waits stands in the line of a gate."""
    place = (one.priority, one.since, one.number)
    first = list(lines.first(gate.key, most).annotate(before=lines.count_before(gate.id, *place)))
    ahead = [waiter for waiter in first if _comes_before(waiter, one)]
    return Standing(first[0].before + 1 if first else 1, ahead)


def _comes_before(waiter: Waiter, one: Waiting) -> bool:
    return (-waiter.priority, waiter.since, waiter.number) < (-one.priority, one.since, one.number)
