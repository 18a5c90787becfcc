"""Ops that failed are tried again."""

from __future__ import annotations

from collections.abc import Sequence

from pools import claims
from pools.claims import Desk
from pools.claims.lock import marks, rows, stamp
from runs.transitions.line import ask_again


def retry_due() -> int:
    """Put every op in line whose retry delay is over. Returns how many."""
    due = "SELECT id FROM runs_op WHERE state = 'up_for_retry' AND retry_at <= %s ORDER BY retry_at LIMIT 500"
    found = [op_id for (op_id,) in rows(due, [stamp(claims.clock_time())])]
    if not found:
        return 0
    with claims.desk() as desk:
        return put_back(desk, found)


def put_back(desk: Desk, op_ids: Sequence[int]) -> int:
    """Ops wait again, at the back of their class: the time they began to wait is now."""
    moved = rows(
        "UPDATE runs_op SET state = 'ready', ready_at = %s, retry_at = NULL"
        f" WHERE state = 'up_for_retry' AND id IN ({marks(op_ids)}) RETURNING id, key, priority, run_id",
        [stamp(desk.now), *op_ids],
    )
    ask_again(desk, [(op_id, key, priority, run_id, desk.now) for op_id, key, priority, run_id in moved])
    return len(moved)
