"""The statements about holds, and about how long those who hold had waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from pools.claims.lock import clock_sql, marks, moment, rows, run, seconds, stamp, table


def lock_holds(holders: Sequence[str]) -> None:
    """Lock rows until the transaction ends. SQLite has one writer and needs none."""
    if connection.vendor == "postgresql":
        rows(_mine(f"WHERE holder IN ({marks(holders)})") + " SELECT id FROM mine", list(holders))


def _mine(which: str) -> str:
    """SQL for `mine`: holds locked in the order of their ids, whatever plan the database makes.

    A renewal and the end of what it renews may meet at the same holds: in one order, neither waits in a circle.
    """
    lock = " FOR UPDATE OF pools_hold" if connection.vendor == "postgresql" else ""
    return f"WITH mine AS MATERIALIZED (SELECT pools_hold.id FROM pools_hold {which} ORDER BY pools_hold.id{lock})"


def renew(grants: Sequence[tuple[str, int]], lease: float) -> set[str]:
    """Extend leases to so many seconds from now; grants are (holder, token). Returns the holders renewed."""
    row = "(CAST(%s AS varchar(64)), CAST(%s AS bigint))"
    mine = _mine(f"JOIN {table(row, len(grants))} AS v ON holder = v.column1 AND token = v.column2")
    renewed = rows(
        f"{mine} UPDATE pools_hold SET lease_until = {clock_sql()} WHERE id IN (SELECT id FROM mine) RETURNING holder",
        [*(value for grant in grants for value in grant), seconds(lease)],
    )
    return {holder for (holder,) in renewed}


@dataclass(frozen=True)
class NewHold:
    """Slots to be taken. `priority` and `asked_at` are the place in line that the holder had; None: it had none."""

    gate_id: int
    holder: str
    slots: int
    token: int
    since: datetime
    lease_until: datetime | None
    priority: int = 0
    asked_at: datetime | None = None


def take(holds: Sequence[NewHold]) -> None:
    """Write holds."""
    run(
        "INSERT INTO pools_hold (gate_id, holder, slots, token, since, lease_until, priority, asked_at) VALUES "
        + ",".join(["(%s,%s,%s,%s,%s,%s,%s,%s)"] * len(holds)),
        [
            value
            for hold in holds
            for value in (
                hold.gate_id, hold.holder, hold.slots, hold.token, stamp(hold.since), stamp(hold.lease_until),
                hold.priority, stamp(hold.asked_at),
            )
        ],
    )  # fmt: skip


def note_waits(waits: Sequence[tuple[str, int, str, str, float]], at: datetime) -> None:
    """Write how long those who were admitted had waited: (holder, token, kind, label, seconds) each."""
    run(
        "INSERT INTO pools_wait (holder, token, at, kind, label, seconds) VALUES "
        + ",".join(["(%s,%s,%s,%s,%s,%s)"] * len(waits)),
        [
            value
            for holder, token, kind, label, seconds in waits
            for value in (holder, token, stamp(at), kind, label, seconds)
        ],
    )


def holds_at(gate_ids: Sequence[int]) -> list[tuple[int, str, int, datetime | None]]:
    """Who holds slots of these gates: (gate, holder, priority, since when it had waited) each."""
    found = rows(
        f"SELECT gate_id, holder, priority, asked_at FROM pools_hold WHERE gate_id IN ({marks(gate_ids)})",
        list(gate_ids),
    )
    return [(gate_id, holder, priority, moment(asked) if asked else None) for gate_id, holder, priority, asked in found]


def places_of(holders: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """The place in line, priority and since when it had waited, of each holder that stood in one."""
    found = rows(
        "SELECT DISTINCT holder, priority, asked_at FROM pools_hold WHERE asked_at IS NOT NULL"
        f" AND holder IN ({marks(holders)})",
        list(holders),
    )
    return {holder: (priority, moment(asked)) for holder, priority, asked in found}


def give_back(holder: str, token: int, lapsed_at: datetime | None = None) -> list[tuple[int, int]]:
    """Delete a holder's holds under a token, only lapsed ones if a time is given; returns (gate, slots) each."""
    lapsed = " AND lease_until < %s" if lapsed_at else ""
    return _delete(
        f"WHERE holder = %s AND token = %s{lapsed}",
        [holder, token, *([stamp(lapsed_at)] if lapsed_at else [])],
    )


def give_back_all(holders: Sequence[str]) -> list[tuple[int, int]]:
    """Delete all holds of these holders; returns (gate, slots) each."""
    return _delete(f"WHERE holder IN ({marks(holders)})", list(holders))


def _delete(which: str, params: Sequence[Any]) -> list[tuple[int, int]]:
    return rows(
        f"{_mine(which)} DELETE FROM pools_hold WHERE id IN (SELECT id FROM mine) RETURNING gate_id, slots", params
    )


def held(holder: str) -> list[tuple[int, int, int]]:
    """What a holder holds: (gate, slots, token) each."""
    return rows("SELECT gate_id, slots, token FROM pools_hold WHERE holder = %s ORDER BY gate_id", [holder])


def discard_holds_of(holder: str, gate_ids: Sequence[int]) -> None:
    run(f"DELETE FROM pools_hold WHERE holder = %s AND gate_id IN ({marks(gate_ids)})", [holder, *gate_ids])


def discard_holds(gate_id: int) -> None:
    run("DELETE FROM pools_hold WHERE gate_id = %s", [gate_id])
