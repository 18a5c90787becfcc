"""An attempt ends, by its own verdict or because it was lost; what follows for its op, those downstream and the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from pools import claims
from pools.claims import Desk, Grant
from pools.claims.lock import marks, moment, rows, run, stamp
from runs import admission, graph, plans, retry, states
from runs.transitions.line import UNFINISHED, ask, ask_again, op_holder, run_holder, tell
from runs.transitions.retrying import put_back
from runs.transitions.starting import Taker, take_what_runs_here, taking_over
from runs.verdict import CRASHED, GIVEN_BACK, LOST, STOPPED, Verdict


def complete(op_id: int, token: int, verdict: Verdict, taker: Taker | None = None) -> bool:
    """An attempt ended. False: fenced; it was not ours any more and nothing was changed.

    In one transaction: the verdict is written, the slots are free, downstream ops are ready or skipped,
    the run ends with its last op, and whoever now fits is admitted; one of them starts in the `taker`'s process.
    True as well when this very verdict had been written by a call whose answer was lost.
    """
    with taking_over(taker), claims.desk() as desk:
        op = _running(op_id, token)
        if op is not None:
            desk.release(op.holder, token)
            _end_attempt(desk, op, token, verdict)
    if op is not None:
        return True
    if taker is not None:
        take_what_runs_here(taker)
    return _is_written(op_id, token, verdict)


def _is_written(op_id: int, token: int, verdict: Verdict) -> bool:
    return rows(
        "SELECT u.body FROM runs_op o LEFT JOIN runs_opoutput u ON u.op_id = o.id"
        " WHERE o.id = %s AND o.token = %s AND o.state = %s AND o.error = %s",
        [op_id, token, verdict.state, verdict.error],
    ) == [(verdict.output,)]


def give_back(op_id: int, token: int) -> bool:
    """A running op was interrupted so that its worker can stop: it returns to its place in line.

    No attempt is used. If its run is being canceled, the op is canceled instead. False: fenced.
    """
    with claims.desk() as desk:
        op = _running(op_id, token)
        if op is None:
            return False
        desk.release(op.holder, token)
        if op.run_state == states.CANCELING:
            _end_attempt(desk, op, token, _stopped(op))
            return True
        _note_end(desk, op, token, GIVEN_BACK, "its worker was being stopped")
        run(
            "UPDATE runs_op SET state = 'ready', attempt = attempt - 1, token = NULL, started_at = NULL,"
            " admitted_at = NULL, worker_id = NULL, pid = NULL WHERE id = %s AND token = %s AND state = 'running'",
            [op_id, token],
        )
        ask(desk, op.run_id, op.run_priority, op.held_by_run, op.plan, [(op.id, op.key, op.priority)], op.ready_at)
        tell(desk, op.run_id)
    return True


def op_expired(desk: Desk, grant: Grant) -> None:
    """An op's lease ran out and its slots were taken back.

    An op that never started returns to its place in line, under a new token and without using an attempt.
    A running one has lost its worker: the attempt failed.
    """
    returned = rows(
        "UPDATE runs_op SET state = 'ready', token = NULL, admitted_at = NULL"
        " WHERE id = %s AND token = %s AND state = 'admitted' RETURNING id, key, priority, run_id, ready_at",
        [grant.id, grant.token],
    )
    ask_again(desk, [(*op[:4], moment(op[4])) for op in returned])
    op = None if returned else _running(grant.id, grant.token)
    if op is not None:
        _end_attempt(desk, op, grant.token, _verdict_on_lost(op, "lost its worker: the lease ran out", LOST))


def op_died(op_id: int, token: int, reason: str, cause: str = CRASHED) -> bool:
    """The process of a running op is gone. The attempt failed with `reason`. False: fenced.

    A crash has a budget of its own, as it need not be the op's fault: while some of it is left, the op is tried again
    at once, from its place in line. Then its retry policy applies, as it does when we killed it for its `cause`.
    """
    with claims.desk() as desk:
        return _died(desk, op_id, token, reason, cause)


def ops_lost_workers(desk: Desk, worker_ids: Sequence[int], reason: str) -> None:
    """These workers are dead, and so is whatever they ran: those attempts failed with `reason`."""
    found = rows(
        f"SELECT id, token FROM runs_op WHERE state = 'running' AND worker_id IN ({marks(worker_ids)}) ORDER BY id",
        worker_ids,
    )
    for op_id, token in found:
        _died(desk, op_id, token, reason, LOST)


def _died(desk: Desk, op_id: int, token: int, reason: str, cause: str) -> bool:
    op = _running(op_id, token)
    if op is None:
        return False
    desk.release(op.holder, token)
    _end_attempt(desk, op, token, _verdict_on_lost(op, reason, cause))
    return True


def _verdict_on_lost(op: _RunningOp, reason: str, cause: str) -> Verdict:
    if op.run_state == states.CANCELING:
        return _stopped(op, reason)
    spec = op.plan.by_key[op.key]
    if cause in (CRASHED, LOST) and retry.forgives_crash(op.crashes, spec.crash_retries, settings.CRASH_RETRIES):
        return Verdict.crash(reason, cause)
    return Verdict.failure(reason, retry.delay_before_next(spec.retry, op.attempt - op.crashes), cause)


def _stopped(op: _RunningOp, reason: str = "") -> Verdict:
    """What becomes of an op whose run is being stopped: by a person, or because its time is over."""
    if op.run_error:
        return Verdict.failure(f"its run {op.run_error}", cause=STOPPED)
    return Verdict.canceled(reason or "canceled")


@dataclass(frozen=True)
class _RunningOp:
    """An op that runs under a token, with what its run says about it."""

    id: int
    run_id: int
    key: str
    attempt: int
    crashes: int
    priority: int
    ready_at: datetime
    run_state: str
    run_error: str
    run_priority: int
    held_by_run: tuple[str, ...]  # pools
    plan: graph.Plan
    others: bool  # whether any other op of the run is unfinished

    @property
    def holder(self) -> str:
        return op_holder(self.id)


def _running(op_id: int, token: int) -> _RunningOp | None:
    """The op, if it runs under this token. Under the lock, so it stays so until we move it."""
    found = rows(
        "SELECT o.run_id, o.key, o.attempt, o.crashes, o.priority, o.ready_at, r.state, r.error, r.priority,"
        " r.pools_held, r.plan_id,"
        f" EXISTS (SELECT 1 FROM runs_op u WHERE u.run_id = o.run_id AND u.state IN ({UNFINISHED}) AND u.id <> o.id)"
        " FROM runs_op o JOIN runs_run r ON r.id = o.run_id"
        " WHERE o.id = %s AND o.token = %s AND o.state = 'running'",
        [op_id, token],
    )
    if not found:
        return None
    run_id, key, attempt, crashes, priority, ready_at, run_state, run_error, run_priority, held, plan_id, others = (
        found[0]
    )
    return _RunningOp(
        op_id,
        run_id,
        key,
        attempt,
        crashes,
        priority,
        moment(ready_at),
        run_state,
        run_error,
        run_priority,
        tuple(json.loads(held)),
        plans.load(plan_id),
        bool(others),
    )


def _end_attempt(desk: Desk, op: _RunningOp, token: int, verdict: Verdict) -> None:
    """Write a verdict and what follows from it. The op's slots have been given back."""
    if op.run_state == states.CANCELING and verdict.state == states.UP_FOR_RETRY:
        verdict = _stopped(op, verdict.error)
    if verdict.state != states.SUCCESS:
        _note_end(desk, op, token, verdict.cause, verdict.error)
    retry_at = None if verdict.retry_in is None else desk.now + timedelta(seconds=verdict.retry_in)
    run(
        "UPDATE runs_op SET state = %s, ended_at = %s, error = %s, retry_at = %s, crashes = crashes + %s, pid = NULL"
        " WHERE id = %s AND token = %s AND state = 'running'",
        [verdict.state, stamp(desk.now), verdict.error, stamp(retry_at), int(verdict.forgiven), op.id, token],
    )
    if verdict.output is not None:
        run("INSERT INTO runs_opoutput (op_id, body) VALUES (%s, %s)", [op.id, verdict.output])
    ready: list[tuple[int, str, int]] = []
    if verdict.state == states.SUCCESS:
        ready = _ready_downstream(desk, op)
        ask(desk, op.run_id, op.run_priority, op.held_by_run, op.plan, ready, desk.now)
    elif verdict.state == states.FAILURE:
        skip_downstream(desk, op.run_id, op.plan, op.key)
    elif verdict.state == states.UP_FOR_RETRY and not verdict.retry_in:
        put_back(desk, [op.id], keep_place=verdict.forgiven)
    if not (op.others and verdict.state == states.SUCCESS) and verdict.state != states.UP_FOR_RETRY:
        end_if_over(desk, [op.run_id], op.run_state, op.run_error)
    tell(desk, op.run_id)


def _note_end(desk: Desk, op: _RunningOp, token: int, cause: str, text: str) -> None:
    """Keep how an attempt ended that did not succeed: the op's row forgets it with the next one."""
    run(
        "INSERT INTO runs_opevent (op_id, attempt, kind, started_at, at, text)"
        " SELECT id, attempt, %s, started_at, %s, %s FROM runs_op WHERE id = %s AND token = %s AND state = 'running'",
        [cause, stamp(desk.now), text, op.id, token],
    )


def _ready_downstream(desk: Desk, op: _RunningOp) -> list[tuple[int, str, int]]:
    """Count this op off for those that wait for it; returns those that wait for nobody now."""
    keys = op.plan.downstream[op.key]
    if not keys:
        return []
    moved = rows(
        "UPDATE runs_op SET waits_for = waits_for - 1,"
        " state = CASE WHEN waits_for = 1 AND state = 'pending' THEN 'ready' ELSE state END,"
        " ready_at = CASE WHEN waits_for = 1 AND state = 'pending' THEN %s ELSE ready_at END"
        f" WHERE run_id = %s AND key IN ({marks(keys)}) RETURNING id, key, priority, state, waits_for",
        [stamp(desk.now), op.run_id, *keys],
    )
    return sorted(
        (op_id, key, priority)
        for op_id, key, priority, state, waits_for in moved
        if state == states.READY and waits_for == 0
    )


def skip_downstream(desk: Desk, run_id: int, plan: graph.Plan, key: str) -> None:
    """What can't run any more, as an op failed, is skipped."""
    keys = plan.all_downstream(key)
    if keys:
        run(
            "UPDATE runs_op SET state = 'skipped', ended_at = %s"
            f" WHERE run_id = %s AND state = 'pending' AND key IN ({marks(keys)})",
            [stamp(desk.now), run_id, *keys],
        )


def end_if_over(desk: Desk, run_ids: Sequence[int], run_state: str, run_error: str) -> None:
    """End those of the runs that have ended with their last op: everything they hold is free, whatever the end."""
    these = f"run_id IN ({marks(run_ids)})"
    unfinished = rows(f"SELECT DISTINCT run_id FROM runs_op WHERE {these} AND state IN ({UNFINISHED})", run_ids)
    if len(unfinished) == len(run_ids):
        return
    found: dict[int, set[str]] = {}
    for run_id, state in rows(f"SELECT DISTINCT run_id, state FROM runs_op WHERE {these}", run_ids):
        found.setdefault(run_id, set()).add(state)
    for (run_id,) in unfinished:
        del found[run_id]
    ended: dict[str, list[int]] = {}
    for run_id, op_states in found.items():
        state = graph.outcome(op_states, cancel_requested=run_state == states.CANCELING)
        ended.setdefault(states.FAILURE if run_error else state, []).append(run_id)
    for state, ids in ended.items():
        end_runs(desk, ids, state)


def end_runs(desk: Desk, run_ids: Sequence[int], state: str) -> None:
    """End runs of which no op is left.

    One that failed is executed again if it has retries of its own left: the clock sees to it.
    """
    run(
        "UPDATE runs_run SET state = %s, ended_at = %s, deadline = NULL,"
        " retry_at = CASE WHEN %s = 'failure' AND retries_left > 0 THEN %s ELSE NULL END"
        f" WHERE id IN ({marks(run_ids)}) AND state IN ('canceling', 'queued', 'started')",
        [state, stamp(desk.now), state, stamp(desk.now), *run_ids],
    )
    desk.release_all(*map(run_holder, run_ids))
    for run_id in run_ids:
        desk.close_gates(admission.run_family(run_id))
