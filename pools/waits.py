"""How long was waited for which limit: by those who were admitted, and so far by those who wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Subquery

from pools import claims, rules
from pools.models import Wait, Waiter

LOOK_BACK = 5_000  # waits that are looked through for those for one limit

Limit = tuple[str, str]  # the kind and the label of a gate, or of what else is waited for


@dataclass(frozen=True)
class SoFar:
    """What a candidate has waited by now, by limit, and for which of them it waits. None: nothing counts on."""

    seconds: Mapping[Limit, float]
    on: Limit | None


@dataclass(frozen=True)
class Waited:
    """A wait that ended when its holder was admitted."""

    until: datetime
    seconds: Mapping[Limit, float]


def so_far(waiter: Waiter, gate: Callable[[int], rules.Gate | None], now: datetime) -> SoFar:
    """What a waiter, read with its lane, has waited. `gate` knows the gates of its account: see `gates_of`."""
    lane = waiter.lane
    known = claims.KnownLane(
        lane.pk, (), blocked_on=lane.blocked_on_id, sums=json.loads(lane.account), parked_at=lane.parked_at
    )
    found = claims.spent(waiter.account, known, now)
    seconds: dict[Limit, float] = {}
    for key, spent in found.seconds.items():
        if spent >= claims.LEAST:
            limit = claims.kind_and_label(key, gate)
            seconds[limit] = seconds.get(limit, 0.0) + spent
    return SoFar(seconds, claims.kind_and_label(found.on, gate) if found.on else None)


def gates_of(waiter: Waiter) -> set[int]:
    """The gates that the account of a waiter, read with its lane, may speak of."""
    account = json.loads(waiter.account)
    keys = {*json.loads(waiter.lane.account), *account.get("own", ())}
    held = account.get("held")
    found = {int(key) for key in (*keys, *(held[:1] if held else ())) if key != claims.PROSPECTS}
    return found | ({waiter.lane.blocked_on_id} if waiter.lane.blocked_on_id else set())


def of(holders: Iterable[str]) -> dict[str, list[Waited]]:
    """The waits of these holders that ended, oldest first. Those who started at once are left out."""
    found: dict[tuple[str, int], tuple[datetime, dict[Limit, float]]] = {}
    for wait in Wait.objects.filter(holder__in=list(holders)).order_by("id"):
        _, seconds = found.setdefault((wait.holder, wait.token), (wait.at, {}))
        seconds[wait.kind, wait.label] = seconds.get((wait.kind, wait.label), 0.0) + wait.seconds
    waits: dict[str, list[Waited]] = {}
    for (holder, _), (until, seconds) in found.items():
        waits.setdefault(holder, []).append(Waited(until, seconds))
    return waits


def recent(kind: str, label: str, most: int, since: datetime) -> list[Wait]:
    """The last waits for a limit that ended since then, newest first: of the last LOOK_BACK for whatever limit."""
    newest = Wait.objects.order_by("-id").values("id")[:1]
    among = Wait.objects.filter(id__gt=Subquery(newest) - LOOK_BACK)
    return list(among.filter(kind=kind, label=label, at__gte=since).order_by("-id")[:most])


def last(holder: str, token: int | None = None) -> list[Wait]:
    """How long a holder waited for each gate, longest first; before its last admission if no token is given."""
    found = Wait.objects.filter(holder=holder)
    if token is None:
        newest = found.order_by("-id").first()
        if newest is None:
            return []
        token = newest.token
    return list(found.filter(token=token).order_by("-seconds"))
