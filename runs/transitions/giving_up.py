"""What waited goes on no more: somebody gave up on an op, or an op or a run waited for too long."""

from __future__ import annotations

from collections.abc import Sequence

from pools import claims
from pools.claims import Desk
from pools.claims.lock import rows, run, stamp
from runs import plans
from runs.transitions.ending import end_if_over, end_runs, skip_downstream
from runs.transitions.line import UNFINISHED, tell
from runs.transitions.retrying import note_intervention
from runs.verdict import GAVE_UP


def give_up(op_id: int, attempt: int, who: str) -> bool:
    """Try an op no more after this attempt: it failed. False: it does not wait to be tried again any more."""
    with claims.desk() as desk:
        if not note_intervention(desk, op_id, attempt, GAVE_UP, who):
            return False
        _fail_op(desk, op_id, "up_for_retry", None)
    return True


def op_waited_too_long(desk: Desk, op_id: int, waited_for: Sequence[str]) -> None:
    """An op left the line because it had waited for as long as it may."""
    _fail_op(desk, op_id, "ready", _too_long_for(waited_for))


def _fail_op(desk: Desk, op_id: int, expected: str, error: str | None) -> None:
    """An op that holds nothing failed. Its error stays as it is where none is given."""
    failed = rows(
        "UPDATE runs_op SET state = 'failure', ended_at = %s, retry_at = NULL, error = COALESCE(%s, error)"
        " WHERE id = %s AND state = %s RETURNING run_id, key",
        [stamp(desk.now), error, op_id, expected],
    )
    for run_id, key in failed:
        found = rows("SELECT state, error, plan_id FROM runs_run WHERE id = %s", [run_id])
        for run_state, run_error, plan_id in found:
            skip_downstream(desk, run_id, plans.load(plan_id), key)
            end_if_over(desk, [run_id], run_state, run_error)
        tell(desk, run_id)


def run_waited_too_long(desk: Desk, run_id: int, waited_for: Sequence[str]) -> None:
    """A run left the queue because it had waited for as long as it may. None of its ops is run."""
    run("UPDATE runs_run SET error = %s WHERE id = %s AND state = 'queued'", [_too_long_for(waited_for), run_id])
    run(
        f"UPDATE runs_op SET state = 'skipped', ended_at = %s WHERE run_id = %s AND state IN ({UNFINISHED})",
        [stamp(desk.now), run_id],
    )
    end_runs(desk, [run_id], "failure")
    tell(desk, run_id)


def _too_long_for(waited_for: Sequence[str]) -> str:
    return f"waited too long for {waited_for[0] if waited_for else 'its turn'}"[:500]
