"""What must agree among gates, lanes, waiters and holds, and with what their holders say. Plain Python.

Whoever reads the books reads them at one moment. So what differs has gone wrong, and is no change that was under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pools import rules
from pools.audit.books import Books, Finding, HoldRow, Says
from pools.rules import Candidate, Lane

USE, LIMIT, LEFT = "gate_use", "gate_limit", "gate_left"
STUCK, WRONG = "hold_stuck", "hold_wrong"
STRAY, MISSING, MISPLACED = "waiter_stray", "waiter_missing", "waiter_misplaced"
PARKED, NAMES, ASIDE, RESERVED = "lane_parked", "lane_names", "lane_aside", "lane_reserved"

# Every kind of drift, in the order in which it is set right: what counts comes before who is let in by the count.
KINDS = {
    USE: "A gate counts other than its holds add up to",
    LIMIT: "A gate has another limit than was set",
    STUCK: "Slots are held by nobody alive",
    WRONG: "Somebody holds other slots than it needs",
    STRAY: "Somebody stands in line and does not wait",
    MISSING: "Somebody waits and stands in no line",
    MISPLACED: "Somebody stands at a wrong place in line",
    NAMES: "A line is found from other gates than it names",
    PARKED: "A line waits while there is room",
    ASIDE: "Somebody is held back while there is room",
    RESERVED: "Slots are kept for somebody who does not wait",
    LEFT: "A gate is left of something that is over",
}


# --- what must be true at every moment --------------------------------------------------------------


def compare(books: Books, says: Mapping[str, Says]) -> list[Finding]:
    """Everything that no transaction can have left behind. Holders that are in neither book are not looked at."""
    return [
        *_gates(books),
        *_holds(books, says),
        *_waiters(books, says),
        *_lanes(books),
        *_aside(books),
        *_reservations(books),
    ]


def _gates(books: Books) -> Iterator[Finding]:
    """A gate's use is the sum of its holds, its cap follows both, and its limit is what was set."""
    sums = books.in_use
    for gate_id, row in books.gates.items():
        gate, used = row.gate, sums.get(gate_id, 0)
        cap = None if gate.limit is None else max(gate.limit, used)
        facts = {"gate": gate.key, "in_use": gate.in_use, "sum_of_holds": used, "cap": row.cap, "limit": gate.limit}
        if gate.in_use != used:
            text = f"{books.name(gate_id)} counts {gate.in_use} in use; its holds add up to {used}"
            yield Finding(USE, f"gate {gate.key}", text, f"count {used}, and let in whoever then fits", facts)
        elif row.cap != cap:
            text = f"{books.name(gate_id)} has a cap of {_shown(row.cap)}; with {used} in use, {_shown(cap)} is right"
            yield Finding(USE, f"gate {gate.key}", text, f"set the cap to {_shown(cap)}", facts)
        wanted = row.wanted
        if wanted is None:
            facts = {"gate": gate.key, "family": row.family, "in_use": gate.in_use}
            text = f"{books.name(gate_id)} is left of something that is over"
            yield Finding(LEFT, f"gate {gate.key}", text, "remove the gate once nobody holds it", facts)
        elif (gate.limit, gate.paused) != (wanted.limit, wanted.paused):
            facts = {"gate": gate.key, "limit": gate.limit, "paused": gate.paused}
            facts |= {"wanted": wanted.limit, "wanted_paused": wanted.paused}
            is_now = "is paused" if gate.paused else f"has a limit of {_shown(gate.limit)}"
            text = f"{books.name(gate_id)} {is_now}; {wanted.says}"
            yield Finding(LIMIT, f"gate {gate.key}", text, "set that limit, and let in whoever then fits", facts)


def _holds(books: Books, says: Mapping[str, Says]) -> Iterator[Finding]:
    """Who holds is alive and may hold, under one token, and holds exactly what it needs."""
    held = books.held_by()
    for holder in sorted({*held, *(name for name, said in says.items() if said.needs)}):
        mine, said = held.get(holder, []), says.get(holder)
        if said is None or not said.needs:
            dead, why = mine, f"there is no {holder}" if said is None else said.text
        else:
            dead = [hold for hold in mine if said.token is not None and hold.token != said.token]
            why = f"{said.text}, under another token" if said else ""
        for token in sorted({hold.token for hold in dead}):
            yield _stuck(books, holder, [hold for hold in dead if hold.token == token], why)
        if said and said.needs:
            yield from _differs(books, holder, [hold for hold in mine if hold not in dead], said)


def _stuck(books: Books, holder: str, holds: Sequence[HoldRow], why: str, **more: str) -> Finding:
    slots = ", ".join(f"{_slots(hold.slots)} of {books.name(hold.gate)}" for hold in holds)
    facts: dict[str, Any] = {
        "holder": holder,
        "token": str(holds[0].token),  # JavaScript has no such number
        "holds": {books.key(hold.gate): hold.slots for hold in holds},
        "since": min(hold.since for hold in holds).isoformat(),
        "why": why,
    }
    return Finding(STUCK, holder, f"{holder} holds {slots}; {why}", "free the slots", facts | more)


def _differs(books: Books, holder: str, holds: Sequence[HoldRow], said: Says) -> Iterator[Finding]:
    has = {books.key(hold.gate): hold.slots for hold in holds}
    expected = {**{key: slots for key, slots in has.items() if key in said.besides}, **said.holds}
    if has != expected:
        text = f"{said.text}; it holds {_listed(has)} and needs {_listed(said.holds)}"
        facts = {"holder": holder, "holds": has, "needs": said.holds}
        yield Finding(WRONG, holder, text, "let it hold what it needs, even past a limit; nobody is stopped", facts)


def _waiters(books: Books, says: Mapping[str, Says]) -> Iterator[Finding]:
    """Who stands in line waits, and who waits stands in line, where it should, and holds nothing meanwhile."""
    waiters = {waiter.holder: waiter for waiter in books.waiters}
    for holder, waiter in waiters.items():
        said = says.get(holder)
        stands = {"holder": holder, "priority": waiter.priority, "since": waiter.since.isoformat()}
        if said is None or said.place is None:
            why = f"there is no {holder}" if said is None else said.text
            text = f"{holder} stands in line; {why}"
            yield Finding(STRAY, holder, text, "take it out of the line", {**stands, "why": why})
        elif said.place != (waiter.priority, waiter.since):
            priority, since = said.place
            text = (
                f"{said.text} with priority {priority} since {since:%H:%M:%S.%f}; "
                f"it stands in line with priority {waiter.priority} since {waiter.since:%H:%M:%S.%f}"
            )
            facts = {**stands, "wanted_priority": priority, "wanted_since": since.isoformat()}
            yield Finding(MISPLACED, holder, text, "give it its place", facts)
    for holder, said in says.items():
        if said.place is not None and holder not in waiters:
            facts = {"holder": holder, "priority": said.place[0], "since": said.place[1].isoformat()}
            yield Finding(MISSING, holder, f"{said.text} and stands in no line", "put it in its place in line", facts)


def _lanes(books: Books) -> Iterator[Finding]:
    """No lane waits while there is room, and each is found from the gates that it names.

    A lane that shall be looked at again is not looked at here; nor is one at a gate whose use is in doubt.
    """
    sums = books.in_use
    doubtful = {gate_id for gate_id, row in books.gates.items() if row.gate.in_use != sums.get(gate_id, 0)}
    for row in books.lanes:
        lane = row.lane
        named, looked_at = frozenset(lane.needs), frozenset(at for group in lane.prospects for at in group)
        if (row.named, row.looked_at) != (named, looked_at):
            facts = {"lane": lane.id, "needs": sorted(named), "found_from": sorted(row.named)}
            facts |= {"prospects": sorted(looked_at), "prospects_found_from": sorted(row.looked_at)}
            text = f"lane {lane.id} is found from other gates than it names"
            yield Finding(NAMES, f"lane {lane.id}", text, "write its gates anew", facts)
        names = looked_at.union(gate_id for gate_id, _ in named)
        if row.head is None or row.dirty or names & doubtful or not names <= books.gates.keys():
            continue
        wrong = _parked_wrongly(books, lane, row.head)
        if wrong:
            facts = {
                "lane": lane.id,
                "first": row.head.holder,
                "parked_on": books.key(lane.blocked_on) if lane.blocked_on else None,
                "without_prospect": lane.without_prospect,
            }
            text = f"the line of {row.head.holder} (lane {lane.id}) {wrong}"
            yield Finding(PARKED, f"lane {lane.id}", text, "look at the line, and let in whoever fits", facts)


def _parked_wrongly(books: Books, lane: Lane, head: Candidate) -> str:
    """What is wrong with where a lane is parked; "" if nothing is."""

    def has_to_spare(gate_id: int) -> bool:
        if not books.check_at_queue:
            return True
        return books.gate(gate_id).has_to_spare(books.waited_for.get(gate_id, 0), books.run_buffer)

    blocking = rules.first_blocking(lane.needs, books.gate, head)
    is_open = rules.is_open(lane.prospects, has_to_spare)
    if lane.without_prospect:  # other gates may have filled since
        return "is said to have no prospect, and has one" if is_open else ""
    if blocking is None:
        return "waits while all its gates have room" if is_open else "has no prospect, and that is not noted"
    if lane.blocked_on is None:
        return f"is parked nowhere, though {blocking.name} has no room"
    at = books.gate(lane.blocked_on)
    slots = dict(lane.needs).get(at.id)
    if slots is None:
        return f"is parked at {at.name}, which it does not need"
    return "" if at.blocks(slots, at.kept_from(head)) else f"is parked at {at.name}, which has room"


def _aside(books: Books) -> Iterator[Finding]:
    """Whom a gate of its own run holds back returns when it has room: when it opens, or after a fellow in line."""
    for row in books.aside:
        gate = books.gates[row.gate].gate
        if not gate.full and not row.fellow:
            text = f"{row.count} in lane {row.lane} are held back by {books.name(row.gate)}, which has room: "
            text += f"{gate.in_use} of {_shown(gate.limit)}"
            facts = {"gate": gate.key, "lane": row.lane, "count": row.count, "in_use": gate.in_use, "limit": gate.limit}
            yield Finding(ASIDE, f"lane {row.lane} at {gate.key}", text, "let the first of them return", facts)


def _reservations(books: Books) -> Iterator[Finding]:
    """Slots are kept only for somebody who waits."""
    waiting = {waiter.holder for waiter in books.waiters}
    for row in books.gates.values():
        kept = row.gate.reservation
        if kept is not None and kept.holder not in waiting:
            facts = {"gate": row.gate.key, "holder": kept.holder, "slots": kept.slots}
            text = f"{row.gate.name} keeps {_slots(kept.slots)} for {kept.holder}, which does not wait"
            yield Finding(RESERVED, f"gate {row.gate.key}", text, "keep nothing for it", facts)


# --- what must be true after a while ----------------------------------------------------------------


def lapsed(books: Books, says: Mapping[str, Says], now: datetime, patience: timedelta) -> list[Finding]:
    """Holders whose lease ran out long ago, and whose slots nobody has taken back."""
    found = []
    for holder, holds in sorted(books.held_by().items()):
        said = says.get(holder)
        late = [hold for hold in holds if hold.lease_until is not None and hold.lease_until < now - patience]
        if said is None or not said.needs or not late:
            continue
        for token in sorted({hold.token for hold in late} & {said.token}, key=str):
            mine = [hold for hold in late if hold.token == token]
            until = min(hold.lease_until for hold in mine if hold.lease_until is not None)
            why = f"{said.text}, and its lease ran out at {until:%H:%M:%S}"
            found.append(_stuck(books, holder, mine, why, lease_until=until.isoformat()))
    return found


# --- words ------------------------------------------------------------------------------------------


def _shown(limit: int | None) -> str:
    return "no limit" if limit is None else str(limit)


def _slots(number: int) -> str:
    return "a slot" if number == 1 else f"{number} slots"


def _listed(slots: Mapping[str, int]) -> str:
    return ", ".join(f"{number} of {key}" for key, number in sorted(slots.items())) or "nothing"
