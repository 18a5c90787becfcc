"""Ops that failed are tried again."""

from __future__ import annotations

from collections.abc import Sequence

from pools import claims
from pools.claims import Desk
from pools.claims.lock import marks, moment, rows, run, stamp
from runs.transitions.line import ask_again
from runs.verdict import RETRIED


def retry_due() -> int:
    """Put every op in line whose retry delay is over. Returns how many."""
    due = "SELECT id FROM runs_op WHERE state = 'up_for_retry' AND retry_at <= %s ORDER BY retry_at LIMIT 500"
    found = [op_id for (op_id,) in rows(due, [stamp(claims.clock_time())])]
    if not found:
        return 0
    with claims.desk() as desk:
        return put_back(desk, found)


def retry_now(op_id: int, attempt: int, who: str) -> bool:
    """Don't wait for the delay that follows this attempt. False: it is over, nothing was changed."""
    with claims.desk() as desk:
        if not note_intervention(desk, op_id, attempt, RETRIED, who):
            return False
        put_back(desk, [op_id])
    return True


def note_intervention(desk: Desk, op_id: int, attempt: int, kind: str, who: str) -> bool:
    """Record that somebody stepped in while an op waited to be tried again. False: it does not, after this attempt."""
    return bool(
        run(
            "INSERT INTO runs_opevent (op_id, attempt, kind, at, text) SELECT id, attempt, %s, %s, %s FROM runs_op"
            " WHERE id = %s AND attempt = %s AND state = 'up_for_retry'",
            [kind, stamp(desk.now), f"by {who}"[:500], op_id, attempt],
        )
    )


def put_back(desk: Desk, op_ids: Sequence[int], keep_place: bool = False) -> int:
    """Ops wait again, at the back of their class: the time they began to wait is now. Unless they keep their place."""
    moved = rows(
        f"UPDATE runs_op SET state = 'ready', {'' if keep_place else 'ready_at = %s,'} retry_at = NULL"
        f" WHERE state = 'up_for_retry' AND id IN ({marks(op_ids)}) RETURNING id, key, priority, run_id, ready_at",
        [*([] if keep_place else [stamp(desk.now)]), *op_ids],
    )
    ask_again(desk, [(op_id, key, priority, run_id, moment(since)) for op_id, key, priority, run_id, since in moved])
    return len(moved)
