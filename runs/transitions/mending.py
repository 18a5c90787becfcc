"""Sets right what an audit found of runs and ops: the moves that somebody should have made, at a desk.

Whoever calls has looked again under the lock, so that what was found is still so.
"""

from __future__ import annotations

from collections.abc import Sequence

from pools.claims import Desk
from pools.claims.lock import marks, moment, rows, run, stamp
from runs import plans, states
from runs.models import Run
from runs.transitions.ending import end_if_over, skip_downstream
from runs.transitions.line import ask_again, ask_for_start, op_holder, run_holder, tell
from runs.transitions.retrying import put_back


def end_run(desk: Desk, run_id: int) -> None:
    """A run of which no op is left ends."""
    for state, error in rows("SELECT state, error FROM runs_run WHERE id = %s", [run_id]):
        end_if_over(desk, [run_id], state, error)
        tell(desk, run_id)


def cancel_op(desk: Desk, op_id: int) -> None:
    """An op whose run is over, or is being canceled, is canceled, and with it whatever it waits for or holds."""
    desk.lock([op_holder(op_id)])
    desk.withdraw([op_holder(op_id)])
    desk.release_all(op_holder(op_id))
    canceled = rows(
        "UPDATE runs_op SET state = 'canceled', ended_at = %s, retry_at = NULL"
        f" WHERE id = %s AND state IN ({marks(states.OP_UNFINISHED)}) RETURNING run_id",
        [stamp(desk.now), op_id, *states.OP_UNFINISHED],
    )
    for (run_id,) in canceled:
        end_run(desk, run_id)


def retry(desk: Desk, op_id: int) -> bool:
    """An op that is up for retry waits for its slots again. False: it is not."""
    return put_back(desk, [op_id]) > 0


def ask_op(desk: Desk, op_id: int) -> None:
    """An op that is ready gets in line, at its place. If it stood in line, it stood at a wrong place."""
    desk.withdraw([op_holder(op_id)])
    found = rows("SELECT id, key, priority, run_id, ready_at FROM runs_op WHERE id = %s AND state = 'ready'", [op_id])
    ask_again(desk, [(*op[:4], moment(op[4])) for op in found])


def ask_run(desk: Desk, run_id: int) -> None:
    """A run that is queued gets in line, at its place. If it stood in line, it stood at a wrong place."""
    desk.withdraw([run_holder(run_id)])
    for found in Run.objects.filter(pk=run_id, state=states.QUEUED):
        ask_for_start(desk, found)


def count_upstream(desk: Desk, op_id: int) -> None:
    """A pending op counts its upstream anew: then it waits for that, or for its slots, or is skipped."""
    found = rows(
        "SELECT o.run_id, o.key, r.plan_id, r.state, r.error FROM runs_op o JOIN runs_run r ON r.id = o.run_id"
        " WHERE o.id = %s AND o.state = 'pending'",
        [op_id],
    )
    for run_id, key, plan_id, run_state, run_error in found:
        plan = plans.load(plan_id)
        before = plan.by_key[key].upstream
        here = _states_of(run_id, before)
        failed = [of for of, state in here.items() if state in (states.FAILURE, states.SKIPPED)]
        for of in failed:
            skip_downstream(desk, run_id, plan, of)
        missing = sum(state != states.SUCCESS for state in here.values())
        run("UPDATE runs_op SET waits_for = %s WHERE id = %s", [missing, op_id])
        if not missing:
            run(
                "UPDATE runs_op SET state = 'ready', ready_at = %s WHERE id = %s AND state = 'pending'",
                [stamp(desk.now), op_id],
            )
            ask_op(desk, op_id)
        end_if_over(desk, [run_id], run_state, run_error)
        tell(desk, run_id)


def _states_of(run_id: int, keys: Sequence[str]) -> dict[str, str]:
    if not keys:
        return {}
    return dict(rows(f"SELECT key, state FROM runs_op WHERE run_id = %s AND key IN ({marks(keys)})", [run_id, *keys]))
