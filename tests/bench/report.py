"""What was measured: a table for people, and JSON lines under bench-results/ for comparing later."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tests import servers

RESULTS = Path(__file__).resolve().parents[2] / "bench-results"
DATABASES = ("sqlite", "postgres")
NONE = "none"  # the version of what is not there

# What is aimed at, by the name of a row and the database. Missing one is said, and is no error.
TARGETS = {
    "W1 slot utilisation, %": {"sqlite": 97.0, "postgres": 97.0},
    "W2 ops/s, times bare RQ's": {"sqlite": 5.0, "postgres": 3.0},
    "W2 with a process for each op, times bare RQ's": {"sqlite": 0.7, "postgres": 0.4},
}

Results = dict[str, Any]  # the figures of one database, by workload


def _ms(seconds: float) -> float:
    return 1000 * seconds


def ratios(results: Results, workload: str = "w2") -> list[float]:
    """Ours by the rival's, round by round: those of a round were measured one after the other."""
    pairs = zip(results[workload], results["w2_bare"], strict=True)
    return [ours["ops_per_second"] / bare["ops_per_second"] for ours, bare in pairs]


def _median(rounds: list[Results], *path: str) -> float:
    def value(entry: Any) -> float:
        for name in path:
            entry = entry[name]
        return float(entry)

    return statistics.median(value(entry) for entry in rounds)


def _cpu(figures: Results) -> str:
    used = figures["cpu_per_100_ops"]
    return " + ".join(f"{used[name]:.2f}" for name in used)


Row = tuple[str, Callable[[Results], float | str]]

ROWS: list[Row] = [
    ("W1 slot utilisation, %", lambda r: 100 * r["w1"]["utilisation"]),
    ("   bare RQ, with neither limit nor database, %", lambda r: 100 * r["w1_bare"]["utilisation"]),
    ("W1 hand-off p50, ms", lambda r: _ms(r["w1"]["hand_off_p50"])),
    ("W1 hand-off p95, ms", lambda r: _ms(r["w1"]["hand_off_p95"])),
    ("   with a process for each op p50, ms", lambda r: _ms(r["w1_fresh"]["hand_off_p50"])),
    ("   with a process for each op p95, ms", lambda r: _ms(r["w1_fresh"]["hand_off_p95"])),
    ("   bare RQ, enqueue to start p50, ms", lambda r: _ms(r["enqueue_to_start_bare"]["p50"])),
    ("   hand-off p50, times that", lambda r: r["w1"]["hand_off_p50"] / r["enqueue_to_start_bare"]["p50"]),
    ("W1 CPU s for 100 ops: ours + Redis + database", lambda r: _cpu(r["w1"])),
    ("W2 ops/s", lambda r: _median(r["w2"], "ops_per_second")),
    ("   bare RQ, ops/s", lambda r: _median(r["w2_bare"], "ops_per_second")),
    ("W2 ops/s, times bare RQ's", lambda r: statistics.median(ratios(r))),
    ("W2 with a process for each op, times bare RQ's", lambda r: statistics.median(ratios(r, "w2_fresh"))),
    ("W2 CPU s for 100 ops: ours + Redis + database", lambda r: _cpu(r["w2"][-1])),
    ("   bare RQ, CPU s for 100 ops: RQ + Redis", lambda r: _cpu(r["w2_bare"][-1])),
    ("W5 raise 1 -> 4: admitted after, ms", lambda r: _ms(r["w5"]["admission"])),
    ("W5 raise 1 -> 4: four running after, ms", lambda r: _ms(r["w5"]["four_running"])),
    ("an op's life: SQL statements", lambda r: r["life"]["statements"]),
    ("   connect to the database, ms", lambda r: r["life"]["connect"]),
    ("   start, ms", lambda r: r["life"]["start"]),
    ("   the op's own code, ms", lambda r: r["life"]["user_code"]),
    ("   its log and its value, ms", lambda r: r["life"]["log_and_values"]),
    ("   complete, ms", lambda r: r["life"]["complete"]),
    ("   the next op's ticket, ms", lambda r: r["life"]["next_ticket"]),
    ("   RQ, fork and wait for a core, ms", lambda r: r["life"]["rq_and_fork"]),
]


def table(results: dict[str, Results]) -> str:
    """The figures of all databases side by side, each with its target where there is one."""
    lines = [f"{'':48}" + "".join(f"{database:>22}" for database in results)]
    for name, value in ROWS:
        cells = []
        for database, figures in results.items():
            found = value(figures)
            cell = found if isinstance(found, str) else f"{found:.2f}"
            target = TARGETS.get(name, {}).get(database)
            if target is not None and not isinstance(found, str):
                cell += f" ({'≥' if found >= target else 'BELOW'} {target:g})"
            cells.append(f"{cell:>22}")
        lines.append(f"{name:48}" + "".join(cells))
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """What was measured, and on what."""
    packages = {name: metadata.version(name) for name in ("Django", "rq", "django-rq", "redis", "psycopg")}
    return {
        "python": platform.python_version(),
        **packages,
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _postgres(),
        "Redis": _said([servers.redis_binary(), "--version"]).partition("v=")[2].split(" ")[0],
        "cores": str(os.cpu_count()),
    }


def keep(line: dict[str, Any], name: str = "quick") -> None:
    """Append a line of results to the file of this name."""
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with (RESULTS / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps({"at": at, **line}) + "\n")


def _postgres() -> str:
    try:
        return _said([f"{servers.postgres_binaries()}/postgres", "--version"]).split(" ")[2]
    except servers.Missing:
        return NONE


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
