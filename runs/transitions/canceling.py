"""Runs are stopped: by a person, or because their time is over."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import transaction

from pools import claims
from pools.claims import Desk
from pools.claims.lock import marks, rows, run, stamp
from runs import states, system_tags, tickets
from runs.transitions.ending import end_if_over
from runs.transitions.line import UNFINISHED, op_holder, run_holder, tell


def cancel_run(run_id: int, who: str) -> bool:
    """Cancel a run: what waits is canceled at once, what runs is interrupted.

    The run is canceled when its last op has stopped. False: it was over or being canceled already,
    nothing was changed.
    """
    return cancel_runs([run_id], who) == 1


def cancel_runs(run_ids: Sequence[int], who: str) -> int:
    """The same for some hundred runs in one transaction. Returns how many were not over nor being canceled."""
    with claims.desk() as desk:
        return _stop(desk, run_ids, (states.QUEUED, states.STARTED), who=who)


def stop_overdue() -> int:
    """Stop the runs that have been in progress for as long as they may: they end in failure. Returns how many."""
    due = "SELECT id, tags FROM runs_run WHERE deadline <= %s AND state = 'started' ORDER BY deadline LIMIT 100"
    stopped = 0
    for run_id, tags in rows(due, [stamp(claims.clock_time())]):
        limit = json.loads(tags).get(system_tags.MAX_RUNTIME)
        reason = f"took longer than {limit} s ({system_tags.MAX_RUNTIME})"
        with claims.desk() as desk:
            stopped += _stop(desk, [run_id], (states.STARTED,), error=reason)
    return stopped


def _stop(desk: Desk, run_ids: Sequence[int], expected: Sequence[str], who: str = "", error: str = "") -> int:
    """Cancel what waits, interrupt what runs. With an `error` the runs are to end in failure.

    Returns how many were in one of the expected states.
    """
    found = rows(
        f"SELECT id FROM runs_run WHERE id IN ({marks(run_ids)}) AND state IN ({marks(expected)})",
        [*run_ids, *expected],
    )
    ids = [run_id for (run_id,) in found]
    if not ids:
        return 0
    these = f"run_id IN ({marks(ids)})"
    on_their_way = rows(f"SELECT id FROM runs_op WHERE {these} AND state = 'admitted'", ids)
    desk.lock([op_holder(op_id) for (op_id,) in on_their_way])
    run(
        "UPDATE runs_run SET cancel_requested_at = %s, canceled_by = %s, error = %s, deadline = NULL,"
        " state = CASE WHEN state = 'started' THEN 'canceling' ELSE state END"
        f" WHERE id IN ({marks(ids)}) AND state IN ('queued', 'started')",
        [stamp(desk.now), who[:150], error, *ids],
    )
    asking = rows(f"SELECT id FROM runs_op WHERE {these} AND state IN ('admitted', 'ready')", ids)
    run(
        "UPDATE runs_op SET state = 'canceled', ended_at = %s, retry_at = NULL"
        f" WHERE {these} AND state IN ({UNFINISHED}) AND state <> 'running'",
        [stamp(desk.now), *ids],
    )
    holders = [op_holder(op_id) for (op_id,) in asking]
    desk.withdraw([*map(run_holder, ids), *holders])
    desk.release_all(*holders)
    end_if_over(desk, ids, states.CANCELING, error)
    running = rows(
        "SELECT w.name, o.id FROM runs_op o JOIN runs_worker w ON w.id = o.worker_id"
        f" WHERE o.{these} AND o.state = 'running'",
        ids,
    )
    for run_id in ids:
        tell(desk, run_id)
    transaction.on_commit(lambda: tickets.interrupt(running))
    return len(ids)
