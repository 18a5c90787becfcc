"""The statements about gates: what they are, how much of them is in use, what of them is reserved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pools.claims.kinds import kind_of
from pools.claims.lock import marks, rows, run, table
from pools.claims.store.lines import delete_lanes
from pools.rules import Gate, GateSpec, Needs, Reservation


def gates_by_id(ids: Sequence[int]) -> list[Gate]:
    return _gates(f"id IN ({marks(ids)})", ids)


def gates_by_key(keys: Sequence[str]) -> list[Gate]:
    return _gates(f"key IN ({marks(keys)})", keys)


def _gates(where: str, params: Sequence[Any]) -> list[Gate]:
    found = rows(
        'SELECT id, kind, key, label, "limit", in_use, paused,'
        " EXISTS (SELECT 1 FROM pools_waiter w WHERE w.held_by_id = pools_gate.id),"
        " reserved_for, reserved, reserved_priority"
        f" FROM pools_gate WHERE {where}",
        params,
    )
    return [
        Gate(gate_id, kind, key, label, limit, in_use, bool(paused), bool(holds_back), reservation(*reserved))
        for gate_id, kind, key, label, limit, in_use, paused, holds_back, *reserved in found
    ]


def reservation(holder: str, slots: int, priority: int) -> Reservation | None:
    """A gate's reservation from its columns."""
    return Reservation(holder, slots, priority, kind_of(holder).asks) if holder else None


def family(name: str) -> list[int]:
    return [gate_id for (gate_id,) in rows("SELECT id FROM pools_gate WHERE family = %s ORDER BY id", [name])]


def make_gate(spec: GateSpec, limit: int | None) -> Gate:
    gate_id = rows(
        "INSERT INTO pools_gate"
        ' (kind, key, family, label, "limit", cap, in_use, paused, reserved_for, reserved, reserved_priority)'
        " VALUES (%s, %s, %s, %s, %s, %s, 0, %s, '', 0, 0) RETURNING id",
        [spec.kind, spec.key, spec.family, spec.label, limit, limit, False],
    )[0][0]
    return Gate(gate_id, spec.kind, spec.key, spec.label, limit, 0)


def make_pool(name: str, gate_id: int) -> None:
    run(
        "INSERT INTO pools_pool (name, description, granularity, paused_by, pause_reason, version, gate_id)"
        " VALUES (%s, '', '', '', '', (SELECT COALESCE(max(id), 0) + 1 FROM pools_change), %s)",
        [name, gate_id],
    )


def default_limit() -> int | None:
    return rows("SELECT default_limit FROM pools_poolsettings")[0][0]


def queue_settings() -> tuple[bool, int]:
    """Whether prospects are looked at, and the buffer."""
    checks, buffer = rows("SELECT check_at_queue, run_buffer FROM pools_poolsettings")[0]
    return bool(checks), buffer


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


def recount(gate_ids: Sequence[int]) -> None:
    """Write what holds add up to, and the caps that follow."""
    sums = (
        "SELECT g.id,"
        " (SELECT CAST(COALESCE(sum(h.slots), 0) AS bigint) FROM pools_hold h WHERE h.gate_id = g.id) AS used"
        f" FROM pools_gate g WHERE g.id IN ({marks(gate_ids)})"
    )
    run(
        "UPDATE pools_gate SET in_use = s.used,"
        ' cap = CASE WHEN "limit" IS NULL THEN NULL WHEN "limit" > s.used THEN "limit" ELSE s.used END'
        f" FROM ({sums}) AS s WHERE pools_gate.id = s.id",
        list(gate_ids),
    )


def delete_families(names: Sequence[str]) -> None:
    run(f"DELETE FROM pools_gate WHERE family IN ({marks(names)})", names)


def delete_gate(gate_id: int) -> list[int]:
    """Delete a gate, and the empty lanes that name it. Returns those lanes."""
    lanes = [lane_id for (lane_id,) in rows(f"SELECT lane_id FROM ({_NAMING}) naming", [gate_id, gate_id])]
    delete_lanes(lanes)
    run("DELETE FROM pools_gate WHERE id = %s", [gate_id])
    return lanes


def is_needed(gate_id: int) -> bool:
    """Whether anybody waits in a lane that needs this gate, or looks at it."""
    return bool(
        rows(
            f"SELECT 1 FROM ({_NAMING}) naming JOIN pools_waiter w ON w.lane_id = naming.lane_id LIMIT 1",
            [gate_id, gate_id],
        )
    )


# The lanes that name a gate, as a need or as a prospect.
_NAMING = (
    "SELECT lane_id FROM pools_lanegate WHERE gate_id = %s UNION SELECT lane_id FROM pools_prospect WHERE gate_id = %s"
)


def reserve(holder: str, priority: int, slots: Needs) -> None:
    """Keep slots of gates for a candidate."""
    for gate_id, number in slots:
        run(
            "UPDATE pools_gate SET reserved_for = %s, reserved_priority = %s, reserved = %s WHERE id = %s",
            [holder, priority, number, gate_id],
        )


def drop_reservation(holder: str) -> list[int]:
    """Keep nothing for a candidate any more; returns the gates."""
    found = rows(
        "UPDATE pools_gate SET reserved_for = '', reserved_priority = 0, reserved = 0"
        " WHERE reserved_for <> '' AND reserved_for = %s RETURNING id",
        [holder],
    )
    return [gate_id for (gate_id,) in found]


def reserved_for() -> str:
    """The holder for whom slots are reserved; "" if none are."""
    found = rows("SELECT reserved_for FROM pools_gate WHERE reserved_for <> '' LIMIT 1")
    return found[0][0] if found else ""
