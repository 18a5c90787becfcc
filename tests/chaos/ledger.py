"""A witness inside the database: triggers that note, in each transaction, who takes slots and what becomes of ops.

What is undone leaves no note. What is under the admission lock is noted in the order in which it was committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection

TABLES = (
    "CREATE TABLE chaos_hold"
    " (id {serial}, at {moment}, taken INTEGER, gate_id BIGINT, holder TEXT, slots BIGINT, token BIGINT)",
    "CREATE TABLE chaos_move (id {serial}, at {moment}, what TEXT, row_id BIGINT, old TEXT, new TEXT,"
    " token BIGINT, pid BIGINT)",
    "CREATE TABLE chaos_worker (id {serial}, at {moment}, came INTEGER)",
    "CREATE TABLE chaos_broken (id {serial}, at {moment}, gate TEXT, in_use BIGINT, most BIGINT)",
    "CREATE INDEX chaos_moves ON chaos_move (what, row_id, id)",
    "CREATE INDEX chaos_pids ON chaos_move (pid, id)",
)
# (event, condition, what is noted)
TRIGGERS = {
    "taken": (
        "INSERT ON pools_hold",
        "TRUE",
        "INSERT INTO chaos_hold (at, taken, gate_id, holder, slots, token)"
        " VALUES ({now}, 1, NEW.gate_id, NEW.holder, NEW.slots, NEW.token)",
    ),
    "freed": (
        "DELETE ON pools_hold",
        "TRUE",
        "INSERT INTO chaos_hold (at, taken, gate_id, holder, slots, token)"
        " VALUES ({now}, 0, OLD.gate_id, OLD.holder, OLD.slots, OLD.token)",
    ),
    "op_moved": (
        "UPDATE ON runs_op",
        "OLD.state <> NEW.state",
        "INSERT INTO chaos_move (at, what, row_id, old, new, token, pid)"
        " VALUES ({now}, 'op', NEW.id, OLD.state, NEW.state, NEW.token, NEW.pid)",
    ),
    "run_moved": (
        "UPDATE ON runs_run",
        "OLD.state <> NEW.state",
        "INSERT INTO chaos_move (at, what, row_id, old, new) VALUES ({now}, 'run', NEW.id, OLD.state, NEW.state)",
    ),
    "worker_came": ("INSERT ON runs_worker", "TRUE", "INSERT INTO chaos_worker (at, came) VALUES ({now}, 1)"),
    "worker_went": ("DELETE ON runs_worker", "TRUE", "INSERT INTO chaos_worker (at, came) VALUES ({now}, -1)"),
    "exceeded": (
        "UPDATE ON pools_gate",
        'NEW.in_use > OLD.in_use AND NEW.in_use > NEW."limit" AND NEW.kind <> \'run_tag\'',
        "INSERT INTO chaos_broken (at, gate, in_use, most) VALUES ({now}, NEW.key, NEW.in_use, NEW.\"limit\")",
    ),
}  # fmt: skip

# A new tag rule counts the runs in progress, more of them than it allows perhaps: `exceeded` leaves its gates aside.


def install() -> None:
    """Set the witness up."""
    postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                table.format(
                    serial="BIGSERIAL PRIMARY KEY" if postgres else "INTEGER PRIMARY KEY AUTOINCREMENT",
                    moment="DOUBLE PRECISION" if postgres else "REAL",
                )
            )
        for name, (event, condition, note) in TRIGGERS.items():
            note = note.format(now=NOW[connection.vendor])
            if postgres:
                cursor.execute(
                    f"CREATE FUNCTION chaos_{name}() RETURNS trigger LANGUAGE plpgsql AS"
                    f" $$ BEGIN {note}; RETURN NULL; END $$"
                )
                cursor.execute(
                    f"CREATE TRIGGER chaos_{name} AFTER {event} FOR EACH ROW WHEN ({condition})"
                    f" EXECUTE FUNCTION chaos_{name}()"
                )
            else:
                cursor.execute(
                    f"CREATE TRIGGER chaos_{name} AFTER {event} FOR EACH ROW WHEN {condition} BEGIN {note}; END"
                )


NOW = {  # seconds since 1970
    "postgresql": "extract(epoch FROM clock_timestamp())",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}


def ask(sql: str, parameters: Sequence[object] = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


# --- while it goes on -------------------------------------------------------------------------------


def settled_at(pid: int) -> float | None:
    """When the op that last started in this process was over, or was taken back. 0: none ever started there."""
    started = ask(
        "SELECT id, row_id FROM chaos_move WHERE pid = %s AND new = 'running' ORDER BY id DESC LIMIT 1", [pid]
    )
    if not started:
        return 0.0
    after = "SELECT at FROM chaos_move WHERE what = 'op' AND row_id = %s AND id > %s ORDER BY id LIMIT 1"
    found = ask(after, [started[0][1], started[0][0]])
    return found[0][0] if found else None


def staffed_at(workers: int, since: float) -> float | None:
    """When so many workers were counted again, as they are now."""
    found = ask("SELECT sum(came), max(at) FROM chaos_worker")
    return max(since, found[0][1]) if found[0][0] == workers else None


def started_after(since: float) -> float | None:
    """When the next op was started."""
    found = ask("SELECT min(at) FROM chaos_move WHERE new = 'running' AND at > %s", [since])
    return found[0][0]


# --- afterwards -------------------------------------------------------------------------------------


@dataclass
class Held:
    """Slots of one gate that one holder had under one token."""

    gate: int
    holder: str
    token: int
    slots: int
    since: float
    until: float = float("inf")


def holds() -> list[Held]:
    """Who held what, from when to when."""
    found: list[Held] = []
    held: dict[tuple, Held] = {}
    for at, taken, gate, holder, slots, token in ask(
        "SELECT at, taken, gate_id, holder, slots, token FROM chaos_hold ORDER BY id"
    ):
        if taken:
            held[gate, holder, token] = Held(gate, holder, token, slots, at)
            found.append(held[gate, holder, token])
        else:
            held.pop((gate, holder, token)).until = at
    return found


@dataclass
class Started:
    """That an op was started under a token in a process."""

    op: int
    token: int
    pid: int
    at: float


def starts() -> list[Started]:
    found = ask("SELECT row_id, token, pid, at FROM chaos_move WHERE what = 'op' AND new = 'running' ORDER BY id")
    return [Started(*row) for row in found]


@dataclass
class Ends:
    """How often rows came to an end, and when the last time; and who left an end."""

    count: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    left: list[tuple[int, float, str]] = field(default_factory=list)


def ends(what: str, terminal: Sequence[str]) -> Ends:
    """What happened to the ends of ops, or of runs."""
    found = Ends()
    for row_id, at, old, new in ask("SELECT row_id, at, old, new FROM chaos_move WHERE what = %s ORDER BY id", [what]):
        if old in terminal:
            found.left.append((row_id, at, f"{old} -> {new}"))
        elif new in terminal:
            found.count[row_id].append(at)
    return found


def exceeded() -> list[tuple[float, str, int, int]]:
    """Gates whose use rose over their limit: when, which, to what, over which."""
    return ask("SELECT at, gate, in_use, most FROM chaos_broken ORDER BY id")
