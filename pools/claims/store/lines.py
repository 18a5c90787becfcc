"""The statements about lanes and those who wait in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from pools.claims.account import Account, KnownCandidate, KnownLane
from pools.claims.kinds import Ask
from pools.claims.lock import marks, moment, rows, run, stamp, table
from pools.rules import Needs, Prospects

_LANE = "id, needs, prospects, blocked_on_id, without_prospect, account, parked_at"
WAITER = "id, holder, lane_id, priority, since, number, private, account"
_OF_W = ", ".join(f"w.{column}" for column in WAITER.split(", "))  # the same of a table called w
IN_ORDER = "priority DESC, since, number"

# --- lanes ------------------------------------------------------------------------------------------


def lanes_by_id(ids: Iterable[int]) -> list[KnownLane]:
    wanted = sorted(ids)
    return [_lane(row) for row in rows(f"SELECT {_LANE} FROM pools_lane WHERE id IN ({marks(wanted)})", wanted)]


def lanes_for(wanted: Iterable[tuple[Needs, Prospects]]) -> dict[tuple[Needs, Prospects], KnownLane]:
    """Find or make the lanes of these needs and prospects."""
    by_signature = {_signature(needs, prospects): (needs, prospects) for needs, prospects in wanted}
    found = rows(f"SELECT {_LANE} FROM pools_lane WHERE signature IN ({marks(by_signature)})", list(by_signature))
    lanes = {(lane.needs, lane.prospects): lane for lane in map(_lane, found)}
    for signature, (needs, prospects) in by_signature.items():
        if (needs, prospects) not in lanes:
            lanes[needs, prospects] = _make_lane(signature, needs, prospects)
    return lanes


def _signature(needs: Needs, prospects: Prospects) -> str:
    return sha256(json.dumps([needs, prospects] if prospects else needs).encode()).hexdigest()


def _make_lane(signature: str, needs: Needs, prospects: Prospects) -> KnownLane:
    lane_id = rows(
        "INSERT INTO pools_lane (signature, needs, prospects, without_prospect, dirty, account)"
        " VALUES (%s, %s, %s, %s, %s, '{}') RETURNING id",
        [signature, json.dumps(needs), json.dumps(prospects), False, False],
    )[0][0]
    name_gates(lane_id, needs, sorted({gate_id for group in prospects for gate_id in group}))
    return KnownLane(lane_id, needs, prospects=prospects)


def name_gates(lane_id: int, needs: Needs, prospects: Sequence[int]) -> None:
    """Write by which gates a lane is found that is found by none yet."""
    if needs:
        run(
            "INSERT INTO pools_lanegate (lane_id, gate_id, slots) VALUES " + ",".join(["(%s,%s,%s)"] * len(needs)),
            [value for gate_id, slots in needs for value in (lane_id, gate_id, slots)],
        )
    if prospects:
        run(
            "INSERT INTO pools_prospect (lane_id, gate_id) VALUES " + ",".join(["(%s,%s)"] * len(prospects)),
            [value for gate_id in prospects for value in (lane_id, gate_id)],
        )


def forget_gates(lane_ids: Sequence[int]) -> None:
    """Let lanes be found by no gate."""
    run(f"DELETE FROM pools_lanegate WHERE lane_id IN ({marks(lane_ids)})", lane_ids)
    run(f"DELETE FROM pools_prospect WHERE lane_id IN ({marks(lane_ids)})", lane_ids)


def heads(
    lane_ids: Sequence[int], parked_on: Sequence[int], opened: Sequence[int] | None, dirty: bool, most: int
) -> tuple[list[tuple[KnownLane, bool, KnownCandidate | None]], bool]:
    """Lanes by id, lanes parked on gates, lanes without prospect, and dirty lanes, best head first.

    Returns each, whether it was dirty, with the first in its line; and whether any lane at all is without prospect.
    Of the lanes without prospect, those that look at one of the gates `opened`; all of them where that is None.
    """
    wanted: list[str] = []
    params: list[Any] = []
    if lane_ids:
        wanted.append(f"SELECT id FROM pools_lane WHERE id IN ({marks(lane_ids)})")
        params += lane_ids
    if parked_on:
        wanted.append(f"SELECT id FROM pools_lane WHERE blocked_on_id IN ({marks(parked_on)})")
        params += parked_on
    if opened is None:
        wanted.append("SELECT id FROM pools_lane WHERE without_prospect")
    elif opened:
        wanted.append(
            "SELECT l.id FROM pools_lane l JOIN pools_prospect p ON p.lane_id = l.id"
            f" WHERE l.without_prospect AND p.gate_id IN ({marks(opened)})"
        )
        params += opened
    if dirty:
        wanted.append("SELECT id FROM pools_lane WHERE dirty")
    lane = ", ".join(f"l.{column}" for column in _LANE.split(", "))
    found = rows(
        f"SELECT {lane}, l.dirty, {_OF_W}, EXISTS (SELECT 1 FROM pools_lane WHERE without_prospect)"
        f" FROM ({' UNION '.join(wanted)}) c JOIN pools_lane l ON l.id = c.id"
        " LEFT JOIN pools_waiter w ON w.id = (SELECT h.id FROM pools_waiter h"
        " WHERE h.lane_id = l.id AND h.held_by_id IS NULL ORDER BY h.priority DESC, h.since, h.number LIMIT 1)"
        " ORDER BY CASE WHEN w.id IS NULL THEN 1 ELSE 0 END, w.priority DESC, w.since, w.number LIMIT %s",
        [*params, most],
    )
    heads = [(_lane(row[:7]), bool(row[7]), as_candidate(row[8:16]) if row[8] else None) for row in found]
    return heads, bool(found and found[0][16])


def park(lanes: Sequence[KnownLane], now: datetime) -> None:
    """Write where lanes are parked and their sums; they have been looked at."""
    row = "(CAST(%s AS bigint), CAST(%s AS bigint), CAST(%s AS boolean), %s, CAST(%s AS boolean))"
    params: list[Any] = []
    for lane in lanes:
        sums = json.dumps(lane.sums)
        params += [lane.id, lane.blocked_on, lane.without_prospect, sums, lane.parked_at is not None]
    run(
        "UPDATE pools_lane SET blocked_on_id = v.column2, without_prospect = v.column3, account = v.column4,"
        " parked_at = CASE WHEN v.column5 THEN %s ELSE NULL END, dirty = %s"
        f" FROM {table(row, len(lanes))} AS v WHERE pools_lane.id = v.column1",
        [stamp(now), False, *params],
    )


def mark_dirty(lane_ids: Sequence[int], parked_on: Sequence[int]) -> None:
    if parked_on:
        run(f"UPDATE pools_lane SET dirty = %s WHERE blocked_on_id IN ({marks(parked_on)})", [True, *parked_on])
    if lane_ids:
        run(f"UPDATE pools_lane SET dirty = %s WHERE id IN ({marks(lane_ids)})", [True, *lane_ids])


def mark_dirty_without_prospect() -> None:
    run("UPDATE pools_lane SET dirty = %s WHERE without_prospect", [True])


def empty_lanes(most: int) -> list[int]:
    found = rows(
        "SELECT l.id FROM pools_lane l WHERE NOT EXISTS (SELECT 1 FROM pools_waiter w WHERE w.lane_id = l.id)"
        " ORDER BY l.id LIMIT %s",
        [most],
    )
    return [lane_id for (lane_id,) in found]


def delete_lanes(lane_ids: Sequence[int]) -> None:
    if lane_ids:
        forget_gates(lane_ids)
        run(f"DELETE FROM pools_lane WHERE id IN ({marks(lane_ids)})", lane_ids)


# --- waiters ----------------------------------------------------------------------------------------


def join(entries: Sequence[tuple[int, Ask, Needs, Account]]) -> None:
    """Put candidates in line: (lane, what was asked, needs at private gates, account) each."""
    run(
        "INSERT INTO pools_waiter (lane_id, holder, priority, since, number, private, account, give_up_at) VALUES "
        + ",".join(["(%s,%s,%s,%s,%s,%s,%s,%s)"] * len(entries)),
        [
            value
            for lane_id, ask, private, account in entries
            for value in (
                lane_id, ask.holder, ask.priority, stamp(ask.since), ask.number, json.dumps(private),
                account.to_json(), stamp(ask.until),
            )
        ],
    )  # fmt: skip


def line(lane_id: int, most: int) -> list[KnownCandidate]:
    """The first in a line."""
    found = rows(
        f"SELECT {WAITER} FROM pools_waiter WHERE lane_id = %s AND held_by_id IS NULL ORDER BY {IN_ORDER} LIMIT %s",
        [lane_id, most],
    )
    return [as_candidate(waiter) for waiter in found]


def by_holder(holders: Sequence[str]) -> list[KnownCandidate]:
    """Candidates that wait, by holder."""
    found = rows(f"SELECT {WAITER} FROM pools_waiter WHERE holder IN ({marks(holders)})", list(holders))
    return [as_candidate(waiter) for waiter in found]


def out_of_patience(now: datetime, most: int) -> list[KnownCandidate]:
    """Candidates that have waited for too long."""
    found = rows(
        f"SELECT {WAITER} FROM pools_waiter WHERE give_up_at <= %s ORDER BY give_up_at, number LIMIT %s",
        [stamp(now), most],
    )
    return [as_candidate(waiter) for waiter in found]


def waiting_at(gate_ids: Sequence[int], most: int, runs: int) -> tuple[list[tuple[int, Needs, int]], bool]:
    """Who waits for slots of gates: (gate, needs at private gates, slots asked in all by those who have them) each.

    Those with the same private needs are the ops of one run. `most`: so many of them are counted. `runs`: so many runs
    are looked at, found by jumping along the index, not by reading all who wait. Returns whether those were all, too.
    """
    private = "(SELECT min(w.private) FROM pools_waiter w WHERE w.lane_id = {})"
    found = rows(
        "WITH RECURSIVE waiting(gate_id, lane_id, slots, private) AS ("
        f"SELECT lg.gate_id, lg.lane_id, lg.slots, {private.format('lg.lane_id')}"
        f" FROM pools_lanegate lg WHERE lg.gate_id IN ({marks(gate_ids)})"
        f" UNION ALL SELECT p.gate_id, p.lane_id, p.slots, {private.format('p.lane_id AND w.private > p.private')}"
        " FROM waiting p WHERE p.private IS NOT NULL)"
        " SELECT p.gate_id, p.private, p.slots * (SELECT count(*) FROM (SELECT 1 FROM pools_waiter w"
        " WHERE w.lane_id = p.lane_id AND w.private = p.private LIMIT %s) AS counted)"
        " FROM waiting p WHERE p.private IS NOT NULL LIMIT %s",
        [*gate_ids, most, runs],
    )
    slots: dict[tuple[int, str], int] = {}
    for gate_id, own, asked in found:
        slots[gate_id, own] = slots.get((gate_id, own), 0) + int(asked)
    return [(gate_id, needs_of(own), asked) for (gate_id, own), asked in slots.items()], len(found) < runs


def leave(waiter_ids: Sequence[int]) -> None:
    """Delete waiters that were admitted."""
    run(f"DELETE FROM pools_waiter WHERE id IN ({marks(waiter_ids)})", waiter_ids)


def withdraw(holders: Sequence[str]) -> list[tuple[KnownCandidate, bool]]:
    """Delete waiters by holder; returns them, and whether each stood in the line."""
    found = rows(
        f"DELETE FROM pools_waiter WHERE holder IN ({marks(holders)}) RETURNING {WAITER}, held_by_id", list(holders)
    )
    return [(as_candidate(waiter), held_by is None) for *waiter, held_by in found]


def reprioritize(holder: str, priority: int) -> KnownCandidate | None:
    """Write another priority; the waiter stands in the line then. None: it does not wait."""
    found = rows(
        f"UPDATE pools_waiter SET priority = %s, held_by_id = NULL WHERE holder = %s RETURNING {WAITER}",
        [priority, holder],
    )
    return as_candidate(found[0]) if found else None


def change_lane(lane_id: int, accounts: Sequence[tuple[int, Account]]) -> None:
    """Move waiters to a lane, with their accounts."""
    _write_accounts("lane_id = %s", [lane_id], accounts)


def write_accounts(accounts: Sequence[tuple[int, Account]]) -> None:
    _write_accounts("", [], accounts)


def hold_back(gate_id: int, accounts: Sequence[tuple[int, Account]]) -> None:
    _write_accounts("held_by_id = %s", [gate_id], accounts)


def _write_accounts(change: str, params: Sequence[Any], accounts: Sequence[tuple[int, Account]]) -> None:
    run(
        f"UPDATE pools_waiter SET {change + ', ' if change else ''}account = v.column2"
        f" FROM {table('(CAST(%s AS bigint), %s)', len(accounts))} AS v WHERE pools_waiter.id = v.column1",
        [*params, *(value for waiter_id, account in accounts for value in (waiter_id, account.to_json()))],
    )


def bring_back(gate_id: int, lane_id: int) -> KnownCandidate | None:
    """Let the best that a gate holds back in a lane return to the line. None: there is none."""
    found = rows(
        "UPDATE pools_waiter SET held_by_id = NULL WHERE id = (SELECT id FROM pools_waiter"
        f" WHERE held_by_id = %s AND lane_id = %s ORDER BY {IN_ORDER} LIMIT 1) RETURNING {WAITER}",
        [gate_id, lane_id],
    )
    return as_candidate(found[0]) if found else None


def lanes_held_back(gate_id: int) -> list[int]:
    """The lanes in which a gate holds somebody back, found by jumping along the index, not by reading all."""
    found = rows(
        "WITH RECURSIVE held(lane_id) AS ("
        " SELECT min(lane_id) FROM pools_waiter WHERE held_by_id = %s"
        " UNION ALL SELECT (SELECT min(w.lane_id) FROM pools_waiter w"
        "  WHERE w.held_by_id = %s AND w.lane_id > held.lane_id) FROM held WHERE held.lane_id IS NOT NULL)"
        " SELECT lane_id FROM held WHERE lane_id IS NOT NULL",
        [gate_id, gate_id],
    )
    return [lane_id for (lane_id,) in found]


def waits_longest(before: datetime, most: int) -> list[KnownCandidate]:
    """The first in each parked line, and the first that a gate holds back beside it, of those who wait since before a
    time; best first.
    """
    beside = "FROM pools_waiter h WHERE h.held_by_id IS NOT NULL{} ORDER BY h.held_by_id, h.lane_id LIMIT 1"
    following = beside.format(" AND (h.held_by_id, h.lane_id) > (b.gate_id, b.lane_id)")
    found = rows(
        # Gates and the lanes in which they hold somebody back, found by jumping along the index, not by reading all.
        "WITH RECURSIVE beside(gate_id, lane_id) AS ("
        f"SELECT * FROM (SELECT h.held_by_id, h.lane_id {beside.format('')}) AS best"
        f" UNION ALL SELECT (SELECT h.held_by_id {following}), (SELECT h.lane_id {following}) FROM beside b"
        " WHERE b.gate_id IS NOT NULL)"
        f" SELECT {_OF_W} FROM pools_lane l JOIN pools_waiter w ON w.id = (SELECT h.id FROM pools_waiter h"
        " WHERE h.lane_id = l.id AND h.held_by_id IS NULL ORDER BY h.priority DESC, h.since, h.number LIMIT 1)"
        " WHERE l.blocked_on_id IS NOT NULL AND w.since < %s"
        f" UNION ALL SELECT {_OF_W} FROM beside b JOIN pools_waiter w ON w.id = (SELECT h.id FROM pools_waiter h"
        " WHERE h.held_by_id = b.gate_id AND h.lane_id = b.lane_id ORDER BY h.priority DESC, h.since, h.number LIMIT 1)"
        " WHERE w.since < %s ORDER BY 4 DESC, 5, 6 LIMIT %s",
        [stamp(before), stamp(before), most],
    )
    return [as_candidate(row) for row in found]


def needs_of(text: str) -> Needs:
    """Needs as they stand in a row."""
    return tuple((gate_id, slots) for gate_id, slots in json.loads(text))


def _lane(row: Sequence[Any]) -> KnownLane:
    lane_id, needs, prospects, blocked_on, without, account, parked_at = row
    return KnownLane(
        lane_id,
        needs_of(needs),
        blocked_on,
        tuple(tuple(group) for group in json.loads(prospects)),
        bool(without),
        json.loads(account),
        moment(parked_at) if parked_at else None,
    )


def as_candidate(row: Sequence[Any]) -> KnownCandidate:
    waiter_id, holder, lane_id, priority, since, number, private, account = row
    return KnownCandidate(waiter_id, holder, lane_id, priority, moment(since), number, needs_of(private), account)
