"""What attempts say while they run: it counts as long as they are not fenced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pools.claims.lock import clock_time, rows, run, stamp, table
from runs.verdict import LATE

AT_ONCE = 500  # lines written by one statement


def keep_log(run_id: int, op_id: int, token: int, attempt: int, lines: Sequence[tuple[datetime, str, str]]) -> bool:
    """Keep lines, (when, level, text) each. False: the attempt is not running under this token any more."""
    for start in range(0, len(lines), AT_ONCE):
        part = lines[start : start + AT_ONCE]
        kept = rows(
            "INSERT INTO runs_logline (run_id, op_id, attempt, at, level, text)"
            " SELECT o.run_id, o.id, o.attempt, v.column1, v.column2, v.column3"
            f" FROM {table('(%s, %s, %s)', len(part))} AS v"
            " JOIN runs_op o ON o.id = %s AND o.run_id = %s AND o.token = %s AND o.attempt = %s AND o.state = 'running'"
            " RETURNING 1",
            [*(value for at, level, text in part for value in (stamp(at), level, text)), op_id, run_id, token, attempt],
        )
        if not kept:
            return False
    return True


def note_late(op_id: int, attempt: int, text: str) -> None:
    """Record that an attempt which had been fenced spoke all the same, and that it was refused."""
    run(
        "INSERT INTO runs_opevent (op_id, attempt, kind, at, text)"
        " SELECT id, %s, %s, %s, %s FROM runs_op WHERE id = %s",
        [attempt, LATE, stamp(clock_time()), text, op_id],
    )
