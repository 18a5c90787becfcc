"""The statements of the desk, one function each. They decide nothing and remember nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import connection

from pools.claims.kinds import Ask
from pools.claims.lock import marks, moment, rows, run, stamp, table
from pools.rules import Candidate, Gate, GateSpec, Lane, Needs

_WAITER = "id, holder, lane_id, priority, since, number, private"
_IN_ORDER = "priority DESC, since, number"

# --- gates ------------------------------------------------------------------------------------------


def gates_by_id(ids: Sequence[int]) -> list[Gate]:
    return _gates(f"id IN ({marks(ids)})", ids)


def gates_by_key(keys: Sequence[str]) -> list[Gate]:
    return _gates(f"key IN ({marks(keys)})", keys)


def _gates(where: str, params: Sequence[Any]) -> list[Gate]:
    found = rows(
        'SELECT id, kind, key, label, "limit", in_use, paused,'
        " EXISTS (SELECT 1 FROM pools_waiter w WHERE w.held_by_id = pools_gate.id)"
        f" FROM pools_gate WHERE {where}",
        params,
    )
    return [
        Gate(gate_id, kind, key, label, limit, in_use, bool(paused), bool(holds_back))
        for gate_id, kind, key, label, limit, in_use, paused, holds_back in found
    ]


def family(name: str) -> list[int]:
    return [gate_id for (gate_id,) in rows("SELECT id FROM pools_gate WHERE family = %s ORDER BY id", [name])]


def make_gate(spec: GateSpec, limit: int | None) -> Gate:
    gate_id = rows(
        'INSERT INTO pools_gate (kind, key, family, label, "limit", cap, in_use, paused)'
        " VALUES (%s, %s, %s, %s, %s, %s, 0, %s) RETURNING id",
        [spec.kind, spec.key, spec.family, spec.label, limit, limit, False],
    )[0][0]
    return Gate(gate_id, spec.kind, spec.key, spec.label, limit, 0)


def make_pool(name: str, gate_id: int) -> None:
    run(
        "INSERT INTO pools_pool (name, description, paused_by, pause_reason, version, gate_id)"
        " VALUES (%s, '', '', '', 1, %s)",
        [name, gate_id],
    )


def default_limit() -> int | None:
    return rows("SELECT default_limit FROM pools_poolsettings")[0][0]


def set_limit(gate: Gate, limit: int | None) -> None:
    """Write a limit; `cap` becomes what is in use where that is more."""
    cap = None if limit is None else max(limit, gate.in_use)
    run('UPDATE pools_gate SET "limit" = %s, cap = %s WHERE id = %s', [limit, cap, gate.id])


def set_paused(gate_id: int, paused: bool) -> None:
    run("UPDATE pools_gate SET paused = %s WHERE id = %s", [paused, gate_id])


def add_use(changes: Sequence[tuple[Gate, int]]) -> None:
    """Write changes of use. A cap follows a release down and never follows a claim up: the CHECK stands."""
    params: list[Any] = []
    for gate, change in changes:
        params += [gate.id, change, None if gate.limit is None else max(gate.limit, gate.in_use)]
    row = "(CAST(%s AS bigint), CAST(%s AS bigint), CAST(%s AS bigint))"
    run(
        "UPDATE pools_gate SET in_use = in_use + v.column2,"
        " cap = CASE WHEN v.column3 < cap THEN v.column3 ELSE cap END"
        f" FROM {table(row, len(changes))} AS v WHERE pools_gate.id = v.column1",
        params,
    )


def delete_family(name: str) -> None:
    run("DELETE FROM pools_gate WHERE family = %s", [name])


def delete_gate(gate_id: int) -> list[int]:
    """Delete a gate, and the empty lanes that name it. Returns those lanes."""
    lanes = [lane_id for (lane_id,) in rows("SELECT lane_id FROM pools_lanegate WHERE gate_id = %s", [gate_id])]
    delete_lanes(lanes)
    run("DELETE FROM pools_gate WHERE id = %s", [gate_id])
    return lanes


def is_needed(gate_id: int) -> bool:
    """Whether anybody waits in a lane that needs this gate."""
    return bool(
        rows(
            "SELECT 1 FROM pools_lanegate lg JOIN pools_waiter w ON w.lane_id = lg.lane_id"
            " WHERE lg.gate_id = %s LIMIT 1",
            [gate_id],
        )
    )


# --- lanes ------------------------------------------------------------------------------------------


def lanes_by_id(ids: Iterable[int]) -> list[Lane]:
    wanted = sorted(ids)
    found = rows(f"SELECT id, needs, blocked_on_id FROM pools_lane WHERE id IN ({marks(wanted)})", wanted)
    return [Lane(lane_id, _needs(needs), blocked_on) for lane_id, needs, blocked_on in found]


def lanes_for(wanted: Iterable[Needs]) -> dict[Needs, Lane]:
    """Find or make the lanes of these needs."""
    by_signature = {sha256(json.dumps(needs).encode()).hexdigest(): needs for needs in wanted}
    found = rows(
        f"SELECT signature, id, blocked_on_id FROM pools_lane WHERE signature IN ({marks(by_signature)})",
        list(by_signature),
    )
    lanes = {
        by_signature[signature]: Lane(lane_id, by_signature[signature], blocked_on)
        for signature, lane_id, blocked_on in found
    }
    for signature, needs in by_signature.items():
        if needs not in lanes:
            lanes[needs] = _make_lane(signature, needs)
    return lanes


def _make_lane(signature: str, needs: Needs) -> Lane:
    lane_id = rows(
        "INSERT INTO pools_lane (signature, needs, dirty) VALUES (%s, %s, %s) RETURNING id",
        [signature, json.dumps(needs), False],
    )[0][0]
    if needs:
        run(
            "INSERT INTO pools_lanegate (lane_id, gate_id, slots) VALUES " + ",".join(["(%s,%s,%s)"] * len(needs)),
            [value for gate_id, slots in needs for value in (lane_id, gate_id, slots)],
        )
    return Lane(lane_id, needs)


def heads(
    lane_ids: Sequence[int], parked_on: Sequence[int], dirty: bool, most: int
) -> list[tuple[Lane, bool, Candidate | None]]:
    """Lanes by id, lanes parked on gates, and dirty lanes: each, whether dirty, with its first in line, best first."""
    wanted: list[str] = []
    params: list[Any] = []
    if lane_ids:
        wanted.append(f"SELECT id FROM pools_lane WHERE id IN ({marks(lane_ids)})")
        params += lane_ids
    if parked_on:
        wanted.append(f"SELECT id FROM pools_lane WHERE blocked_on_id IN ({marks(parked_on)})")
        params += parked_on
    if dirty:
        wanted.append("SELECT id FROM pools_lane WHERE dirty")
    found = rows(
        "SELECT l.id, l.needs, l.blocked_on_id, l.dirty,"
        " w.id, w.holder, w.lane_id, w.priority, w.since, w.number, w.private"
        f" FROM ({' UNION '.join(wanted)}) c JOIN pools_lane l ON l.id = c.id"
        " LEFT JOIN pools_waiter w ON w.id = (SELECT h.id FROM pools_waiter h"
        " WHERE h.lane_id = l.id AND h.held_by_id IS NULL ORDER BY h.priority DESC, h.since, h.number LIMIT 1)"
        " ORDER BY CASE WHEN w.id IS NULL THEN 1 ELSE 0 END, w.priority DESC, w.since, w.number LIMIT %s",
        [*params, most],
    )
    return [
        (Lane(lane_id, _needs(needs), blocked_on), bool(is_dirty), _candidate(waiter) if waiter[0] else None)
        for lane_id, needs, blocked_on, is_dirty, *waiter in found
    ]


def park(lane_ids: Sequence[int], gate_id: int | None) -> None:
    run(
        f"UPDATE pools_lane SET blocked_on_id = %s, dirty = %s WHERE id IN ({marks(lane_ids)})",
        [gate_id, False, *lane_ids],
    )


def mark_dirty(lane_ids: Sequence[int], parked_on: Sequence[int]) -> None:
    if parked_on:
        run(f"UPDATE pools_lane SET dirty = %s WHERE blocked_on_id IN ({marks(parked_on)})", [True, *parked_on])
    if lane_ids:
        run(f"UPDATE pools_lane SET dirty = %s WHERE id IN ({marks(lane_ids)})", [True, *lane_ids])


def empty_lanes(most: int) -> list[int]:
    found = rows(
        "SELECT l.id FROM pools_lane l WHERE NOT EXISTS (SELECT 1 FROM pools_waiter w WHERE w.lane_id = l.id)"
        " ORDER BY l.id LIMIT %s",
        [most],
    )
    return [lane_id for (lane_id,) in found]


def delete_lanes(lane_ids: Sequence[int]) -> None:
    if lane_ids:
        run(f"DELETE FROM pools_lanegate WHERE lane_id IN ({marks(lane_ids)})", lane_ids)
        run(f"DELETE FROM pools_lane WHERE id IN ({marks(lane_ids)})", lane_ids)


# --- waiters ----------------------------------------------------------------------------------------


def join(entries: Sequence[tuple[int, Ask, Needs]]) -> None:
    """Put candidates in line: (lane, what was asked, needs at private gates) each."""
    run(
        "INSERT INTO pools_waiter (lane_id, holder, priority, since, number, private) VALUES "
        + ",".join(["(%s,%s,%s,%s,%s,%s)"] * len(entries)),
        [
            value
            for lane_id, ask, private in entries
            for value in (lane_id, ask.holder, ask.priority, stamp(ask.since), ask.number, json.dumps(private))
        ],
    )


def line(lane_id: int, most: int) -> list[Candidate]:
    """The first in a line."""
    found = rows(
        f"SELECT {_WAITER} FROM pools_waiter WHERE lane_id = %s AND held_by_id IS NULL ORDER BY {_IN_ORDER} LIMIT %s",
        [lane_id, most],
    )
    return [_candidate(waiter) for waiter in found]


def leave(waiter_ids: Sequence[int]) -> None:
    """Delete waiters that were admitted."""
    run(f"DELETE FROM pools_waiter WHERE id IN ({marks(waiter_ids)})", waiter_ids)


def withdraw(holders: Sequence[str]) -> list[tuple[Candidate, bool]]:
    """Delete waiters by holder; returns them, and whether each stood in the line."""
    found = rows(
        f"DELETE FROM pools_waiter WHERE holder IN ({marks(holders)}) RETURNING {_WAITER}, held_by_id", list(holders)
    )
    return [(_candidate(waiter), held_by is None) for *waiter, held_by in found]


def reprioritize(holder: str, priority: int) -> Candidate | None:
    """Write another priority; the waiter stands in the line then. None: it does not wait."""
    found = rows(
        f"UPDATE pools_waiter SET priority = %s, held_by_id = NULL WHERE holder = %s RETURNING {_WAITER}",
        [priority, holder],
    )
    return _candidate(found[0]) if found else None


def change_lane(holder: str, lane_id: int) -> bool:
    return bool(run("UPDATE pools_waiter SET lane_id = %s WHERE holder = %s", [lane_id, holder]))


def hold_back(gate_id: int, waiter_ids: Sequence[int]) -> None:
    run(f"UPDATE pools_waiter SET held_by_id = %s WHERE id IN ({marks(waiter_ids)})", [gate_id, *waiter_ids])


def bring_back(gate_id: int, lane_id: int) -> bool:
    """Let the best that a gate holds back in a lane return to the line. False: there is none."""
    return bool(
        run(
            "UPDATE pools_waiter SET held_by_id = NULL WHERE id = (SELECT id FROM pools_waiter"
            f" WHERE held_by_id = %s AND lane_id = %s ORDER BY {_IN_ORDER} LIMIT 1)",
            [gate_id, lane_id],
        )
    )


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


# --- holds ------------------------------------------------------------------------------------------


def lock_holds(holders: Sequence[str]) -> None:
    """Lock rows until the transaction ends. SQLite has one writer and needs none."""
    if connection.vendor == "postgresql":
        rows(f"SELECT id FROM pools_hold WHERE holder IN ({marks(holders)}) ORDER BY id FOR UPDATE", list(holders))


def take(holds: Sequence[tuple[int, str, int, int, datetime, datetime | None]]) -> None:
    """Write holds: (gate, holder, slots, token, since, lease until) each."""
    run(
        "INSERT INTO pools_hold (gate_id, holder, slots, token, since, lease_until) VALUES "
        + ",".join(["(%s,%s,%s,%s,%s,%s)"] * len(holds)),
        [
            value
            for gate_id, holder, slots, token, since, until in holds
            for value in (gate_id, holder, slots, token, stamp(since), stamp(until))
        ],
    )


def give_back(holder: str, token: int, lapsed_at: datetime | None = None) -> list[tuple[int, int]]:
    """Delete a holder's holds under a token, only lapsed ones if a time is given; returns (gate, slots) each."""
    lapsed = " AND lease_until < %s" if lapsed_at else ""
    return rows(
        f"DELETE FROM pools_hold WHERE holder = %s AND token = %s{lapsed} RETURNING gate_id, slots",
        [holder, token, *([stamp(lapsed_at)] if lapsed_at else [])],
    )


def give_back_all(holders: Sequence[str]) -> list[tuple[int, int]]:
    """Delete all holds of these holders; returns (gate, slots) each."""
    return rows(f"DELETE FROM pools_hold WHERE holder IN ({marks(holders)}) RETURNING gate_id, slots", list(holders))


def discard_holds(gate_id: int) -> None:
    run("DELETE FROM pools_hold WHERE gate_id = %s", [gate_id])


def _needs(text: str) -> Needs:
    return tuple((gate_id, slots) for gate_id, slots in json.loads(text))


def _candidate(row: Sequence[Any]) -> Candidate:
    waiter_id, holder, lane_id, priority, since, number, private = row
    return Candidate(waiter_id, holder, lane_id, priority, moment(since), number, _needs(private))
