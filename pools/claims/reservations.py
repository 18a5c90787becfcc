"""Reservations: who keeps being passed by those behind it in line gets slots kept, one candidate at a time."""

from __future__ import annotations

from datetime import timedelta

from pools import rules
from pools.claims import store
from pools.claims.account import KnownCandidate
from pools.claims.desk import Desk
from pools.claims.doors import desk
from pools.claims.kinds import kind_of, number_of
from pools.claims.lock import clock_time

LOOK_AT = 100  # candidates, at most, of whom one is to get a reservation


def reserve(after: float) -> str:
    """Keep slots for the first in line whom others have overtaken for `after` seconds. Returns its holder, "" if none.

    1. What is kept already stays so while its holder can still use it: one reservation at a time.
    2. Else, of those who have waited so long, best first, the first that was overtaken gets one.
    Nothing is kept of workers, nor of the gates of its own run: those are not what others take away.
    """
    before = clock_time() - timedelta(seconds=after)
    if not store.reserved_for() and not store.waits_longest(before, most=1):
        return ""
    with desk() as at:
        kept_for = store.reserved_for()
        if kept_for:
            candidate = next(iter(store.by_holder([kept_for])), None)
            if candidate is not None and _can_reserve(at, candidate):
                return kept_for
            at.drop_reservation(kept_for)
        for candidate in store.waits_longest(before, most=LOOK_AT):
            if _can_reserve(at, candidate) and _was_overtaken(at, candidate):
                at.reserve(candidate)
                return candidate.holder
    return ""


def _can_reserve(at: Desk, candidate: KnownCandidate) -> bool:
    """See `rules.can_reserve`. A candidate without prospect could not use what is kept for it."""
    lane = at.lane(candidate.lane)
    if not rules.is_open(lane.prospects, at.has_to_spare):
        return False
    return rules.can_reserve(candidate, lane.needs, at.gate, _holders_at(at, candidate))


def _was_overtaken(at: Desk, candidate: KnownCandidate) -> bool:
    return rules.was_overtaken(candidate, at.lane(candidate.lane).needs, at.gate, _holders_at(at, candidate))


def _holders_at(at: Desk, candidate: KnownCandidate) -> rules.Holders:
    """Who holds slots of the gates that a candidate needs. That a run holds some matters to ops only."""
    gates = [gate_id for gate_id, _ in (*at.lane(candidate.lane).needs, *candidate.private)]
    found: dict[int, list[tuple[rules.Place, bool]]] = {gate_id: [] for gate_id in gates}
    own_kind = kind_of(candidate.holder)
    for gate_id, holder, priority, asked_at in store.holds_at(gates):
        if asked_at is not None:
            place = (-priority, asked_at, number_of(holder), 0)
            found[gate_id].append((place, kind_of(holder).asks and not own_kind.asks))
    return found.__getitem__
