"""Runs are canceled."""

from __future__ import annotations

from django.db import transaction

from pools import claims
from pools.claims.lock import rows, run, stamp
from runs import states, tickets
from runs.transitions.ending import end_run_if_over
from runs.transitions.line import UNFINISHED, op_holder, run_holder, tell


def cancel_run(run_id: int, who: str) -> bool:
    """Cancel a run: what waits is canceled at once, what runs is interrupted.

    The run is canceled when its last op has stopped. False: it was over or being canceled already,
    nothing was changed.
    """
    with claims.desk() as desk:
        found = rows("SELECT state FROM runs_run WHERE id = %s", [run_id])
        if not found or found[0][0] not in (states.QUEUED, states.STARTED):
            return False
        on_their_way = rows("SELECT id FROM runs_op WHERE run_id = %s AND state = 'admitted'", [run_id])
        desk.lock([op_holder(op_id) for (op_id,) in on_their_way])
        run(
            "UPDATE runs_run SET cancel_requested_at = %s, canceled_by = %s, state = CASE WHEN state = 'started'"
            " THEN 'canceling' ELSE state END WHERE id = %s AND state IN ('queued', 'started')",
            [stamp(desk.now), who[:150], run_id],
        )
        stopped = rows(
            "UPDATE runs_op SET state = 'canceled', ended_at = %s, retry_at = NULL"
            f" WHERE run_id = %s AND state IN ({UNFINISHED}) AND state <> 'running' RETURNING id",
            [stamp(desk.now), run_id],
        )
        holders = [op_holder(op_id) for (op_id,) in stopped]
        desk.withdraw([run_holder(run_id), *holders])
        desk.release_all(*holders)
        end_run_if_over(desk, run_id, states.CANCELING)
        running = rows(
            "SELECT w.name, o.id FROM runs_op o JOIN runs_worker w ON w.id = o.worker_id"
            " WHERE o.run_id = %s AND o.state = 'running'",
            [run_id],
        )
        tell(desk, run_id)
        transaction.on_commit(lambda: tickets.interrupt(running))
    return True
