"""The page of state: every change of a run's or an op's state, in life order. Nothing else writes one.

Each verb names the state it expects; when the row is not there any more, somebody else was first and
nothing is changed. What changes a waiting candidate, a hold or a gate happens at a desk (`pools.claims`), whose
lock comes before any row; after it come holds, then ops. `start` needs no desk: its op has its slots.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from pools import claims
from pools.claims import Desk, Grant
from pools.claims.lock import clock_sql, marks, moment, rows, run, seconds, stamp, table
from runs import admission, graph, in_force, plans, retry, states, system_tags, tickets
from runs.models import Run, RunTag
from runs.verdict import Verdict

# In SQL as literals, so that both databases see that the partial indexes apply.
_UNFINISHED = ",".join(f"'{state}'" for state in states.OP_UNFINISHED)


@dataclass(frozen=True)
class Attempt:
    """An attempt that has started: all that executing it takes, so that nobody has to ask again."""

    op_id: int
    token: int
    run_id: int
    key: str
    number: int  # from 1
    run_uid: str
    job: str
    tags: Mapping[str, str]  # the run's
    params: Mapping[str, Any]
    plan: graph.Plan


@dataclass(frozen=True)
class _RunningOp:
    """An op that runs under a token, with what its run says about it."""

    id: int
    run_id: int
    key: str
    attempt: int
    priority: int
    ready_at: datetime
    run_state: str
    run_priority: int
    held_by_run: tuple[str, ...]  # pools
    plan: graph.Plan
    others: bool  # whether any other op of the run is unfinished

    @property
    def holder(self) -> str:
        return op_holder(self.id)


def run_holder(run_id: int) -> str:
    """A run's name as a holder."""
    return f"run:{run_id}"


def op_holder(op_id: int) -> str:
    """An op's name as a holder."""
    return f"op:{op_id}"


# --- a run starts, its ops ask ----------------------------------------------------------------------


def start_runs(desk: Desk, grants: Sequence[Grant]) -> None:
    """Queued runs were admitted: they start, and their root ops ask for slots in the same transaction."""
    entering = in_force.entering()
    for grant in grants:
        pools = admission.pools_among(grant.gates)
        started = rows(
            "UPDATE runs_run SET state = 'started', started_at = %s, pools_held = %s"
            " WHERE id = %s AND state = 'queued' RETURNING plan_id, priority, tags",
            [stamp(desk.now), json.dumps(pools), grant.id],
        )
        for plan_id, priority, tags in started:
            _count_in(desk, grant, entering, tags)
            roots = rows(
                "UPDATE runs_op SET state = 'ready', ready_at = %s"
                f" WHERE run_id = %s AND state = 'pending' AND waits_for = 0 AND state IN ({_UNFINISHED})"
                " RETURNING id, key, priority",
                [stamp(desk.now), grant.id],
            )
            _ask(desk, grant.id, priority, pools, plans.load(plan_id), sorted(roots), desk.now)
            _tell(desk, grant.id)


def _count_in(desk: Desk, grant: Grant, entering: Sequence[admission.Rule], tags: Any) -> None:
    """A run that started from a lane of before is counted by the rules that are about to be in force, too."""
    if not entering:
        return
    needs = admission.queue_needs(json.loads(tags) if isinstance(tags, str) else tags, entering)
    missing = [need.gate for need in needs if need.gate.kind == "run_tag" and need.gate.key not in grant.gates]
    for gate_id in desk.open_gates(missing).values():
        desk.count_in(gate_id, [grant.holder])


def _ask(
    desk: Desk,
    run_id: int,
    run_priority: int,
    held_by_run: Sequence[str],
    plan: graph.Plan,
    ready: Sequence[tuple[int, str, int]],
    since: datetime,
) -> None:
    """Put ready ops (id, key, priority) in line, with the sum of both priorities."""
    desk.ask(
        [
            claims.Ask(
                op_holder(op_id),
                run_priority + priority,
                since,
                admission.op_needs(run_id, plan, plan.by_key[key], held_by_run),
            )
            for op_id, key, priority in ready
        ]
    )


# --- an op is admitted, starts, ends ----------------------------------------------------------------


def admit_ops(desk: Desk, grants: Sequence[Grant]) -> None:
    """Ready ops were admitted: they get their tokens, and after commit their tickets."""
    row = "(CAST(%s AS bigint), CAST(%s AS bigint))"
    admitted = rows(
        "UPDATE runs_op SET state = 'admitted', token = v.column2, admitted_at = %s"
        f" FROM {table(row, len(grants))} AS v WHERE runs_op.id = v.column1 AND state = 'ready'"
        " RETURNING runs_op.id, token, queue, run_id",
        [stamp(desk.now), *(value for grant in grants for value in (grant.id, grant.token))],
    )
    issued = [tickets.Ticket(op_id, token, queue) for op_id, token, queue, _ in admitted]
    for _, _, _, run_id in admitted:
        _tell(desk, run_id)
    transaction.on_commit(lambda: tickets.issue(issued))


def start(op_id: int, token: int, worker_id: int | None, pid: int) -> Attempt | None:
    """An admitted op is about to run in this process. None: the ticket is stale, drop it silently.

    1. Renew the slots under the ticket's token: no slots, no start.
    2. Make the attempt ours by a guarded write that names the same token; or find that it is ours already, when
       this is called again because the answer was lost.
    3. Read what the attempt needs to know of its run.
    Holds come before ops: expiry and cancel take them in the same order and never wait in a circle.
    """
    with transaction.atomic():
        if not claims.renew([Grant(op_holder(op_id), token)], settings.LEASE_SECONDS):
            return None
        started = rows(
            f"UPDATE runs_op SET state = 'running', attempt = attempt + 1, started_at = {clock_sql()},"
            " worker_id = %s, pid = %s, ended_at = NULL, retry_at = NULL, error = ''"
            " WHERE id = %s AND token = %s AND state = 'admitted' RETURNING run_id, key, attempt",
            [seconds(0), worker_id, pid, op_id, token],
        ) or rows(
            "SELECT run_id, key, attempt FROM runs_op"
            " WHERE id = %s AND token = %s AND state = 'running' AND worker_id = %s AND pid = %s",
            [op_id, token, worker_id, pid],
        )
        if not started:
            return None
        run_id, key, number = started[0]
        uid, job, tags, params, plan_id, plan = rows(
            "SELECT r.uid, r.job, r.tags, r.params, p.id, p.body"
            " FROM runs_run r JOIN runs_plan p ON p.id = r.plan_id WHERE r.id = %s",
            [run_id],
        )[0]
        transaction.on_commit(lambda: tickets.announce({"runs", f"run:{run_id}"}))
    return Attempt(
        op_id, token, run_id, key, number, uid, job, json.loads(tags), json.loads(params), plans.read(plan_id, plan)
    )


def complete(op_id: int, token: int, verdict: Verdict) -> bool:
    """An attempt ended. False: fenced; it was not ours any more and nothing was changed.

    In one transaction: the verdict is written, the slots are free, downstream ops are ready or skipped,
    the run ends with its last op, and whoever now fits is admitted.
    """
    with claims.desk() as desk:
        op = _running(op_id, token)
        if op is None:
            return False
        desk.release(op.holder, token)
        _end_attempt(desk, op, token, verdict)
    return True


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
            _end_attempt(desk, op, token, Verdict.canceled())
            return True
        run(
            "UPDATE runs_op SET state = 'ready', attempt = attempt - 1, token = NULL, started_at = NULL,"
            " admitted_at = NULL, worker_id = NULL, pid = NULL WHERE id = %s AND token = %s AND state = 'running'",
            [op_id, token],
        )
        _ask(desk, op.run_id, op.run_priority, op.held_by_run, op.plan, [(op.id, op.key, op.priority)], op.ready_at)
        _tell(desk, op.run_id)
    return True


def _running(op_id: int, token: int) -> _RunningOp | None:
    """The op, if it runs under this token. Under the lock, so it stays so until we move it."""
    found = rows(
        "SELECT o.id, o.run_id, o.key, o.attempt, o.priority, o.ready_at, r.state, r.priority, r.pools_held, r.plan_id,"
        f" EXISTS (SELECT 1 FROM runs_op u WHERE u.run_id = o.run_id AND u.state IN ({_UNFINISHED}) AND u.id <> o.id)"
        " FROM runs_op o JOIN runs_run r ON r.id = o.run_id"
        " WHERE o.id = %s AND o.token = %s AND o.state = 'running'",
        [op_id, token],
    )
    if not found:
        return None
    _, run_id, key, attempt, priority, ready_at, run_state, run_priority, held, plan_id, others = found[0]
    return _RunningOp(
        op_id,
        run_id,
        key,
        attempt,
        priority,
        moment(ready_at),
        run_state,
        run_priority,
        tuple(json.loads(held)),
        plans.load(plan_id),
        bool(others),
    )


def _end_attempt(desk: Desk, op: _RunningOp, token: int, verdict: Verdict) -> None:
    """Write a verdict and what follows from it. The op's slots have been given back."""
    if op.run_state == states.CANCELING and verdict.state == states.UP_FOR_RETRY:
        verdict = Verdict.canceled(verdict.error)
    retry_at = None if verdict.retry_in is None else desk.now + timedelta(seconds=verdict.retry_in)
    run(
        "UPDATE runs_op SET state = %s, ended_at = %s, error = %s, retry_at = %s, pid = NULL"
        " WHERE id = %s AND token = %s AND state = 'running'",
        [verdict.state, stamp(desk.now), verdict.error, stamp(retry_at), op.id, token],
    )
    if verdict.output is not None:
        run("INSERT INTO runs_opoutput (op_id, body) VALUES (%s, %s)", [op.id, verdict.output])
    ready: list[tuple[int, str, int]] = []
    if verdict.state == states.SUCCESS:
        ready = _ready_downstream(desk, op)
        _ask(desk, op.run_id, op.run_priority, op.held_by_run, op.plan, ready, desk.now)
    elif verdict.state == states.FAILURE:
        _skip_downstream(desk, op)
    elif verdict.state == states.UP_FOR_RETRY and not verdict.retry_in:
        _retry(desk, [op.id])
    if not (op.others and verdict.state == states.SUCCESS) and verdict.state != states.UP_FOR_RETRY:
        _end_run_if_over(desk, op.run_id, op.run_state)
    _tell(desk, op.run_id)


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


def _skip_downstream(desk: Desk, op: _RunningOp) -> None:
    keys = op.plan.all_downstream(op.key)
    if keys:
        run(
            "UPDATE runs_op SET state = 'skipped', ended_at = %s"
            f" WHERE run_id = %s AND state = 'pending' AND key IN ({marks(keys)})",
            [stamp(desk.now), op.run_id, *keys],
        )


# --- retries, lost workers --------------------------------------------------------------------------


def retry_due() -> int:
    """Put every op in line whose retry delay is over. Returns how many."""
    due = "SELECT id FROM runs_op WHERE state = 'up_for_retry' AND retry_at <= %s ORDER BY retry_at LIMIT 500"
    found = [op_id for (op_id,) in rows(due, [stamp(claims.clock_time())])]
    if not found:
        return 0
    with claims.desk() as desk:
        return _retry(desk, found)


def _retry(desk: Desk, op_ids: Sequence[int]) -> int:
    """Ops wait again, at the back of their class: the time they began to wait is now."""
    moved = rows(
        "UPDATE runs_op SET state = 'ready', ready_at = %s, retry_at = NULL"
        f" WHERE state = 'up_for_retry' AND id IN ({marks(op_ids)}) RETURNING id, key, priority, run_id",
        [stamp(desk.now), *op_ids],
    )
    _ask_again(desk, [(op_id, key, priority, run_id, desk.now) for op_id, key, priority, run_id in moved])
    return len(moved)


def _ask_again(desk: Desk, ops: Sequence[tuple[int, str, int, int, datetime]]) -> None:
    """Put ops (id, key, priority, run id, waiting since) in line again."""
    run_ids = sorted({run_id for _, _, _, run_id, _ in ops})
    if not run_ids:
        return
    found = rows(f"SELECT id, priority, pools_held, plan_id FROM runs_run WHERE id IN ({marks(run_ids)})", run_ids)
    of_run = {run_id: (priority, json.loads(held), plans.load(plan_id)) for run_id, priority, held, plan_id in found}
    asks = []
    for op_id, key, priority, run_id, since in sorted(ops):
        run_priority, held, plan = of_run[run_id]
        needs = admission.op_needs(run_id, plan, plan.by_key[key], held)
        asks.append(claims.Ask(op_holder(op_id), run_priority + priority, since, needs))
    desk.ask(asks)
    for run_id in run_ids:
        _tell(desk, run_id)


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
    _ask_again(desk, [(*op[:4], moment(op[4])) for op in returned])
    op = None if returned else _running(grant.id, grant.token)
    if op is not None:
        _end_attempt(desk, op, grant.token, _verdict_on_lost(op, "lost its worker: the lease ran out"))


def op_died(op_id: int, token: int, reason: str) -> bool:
    """The process of a running op is gone. The attempt failed with `reason`. False: fenced."""
    with claims.desk() as desk:
        op = _running(op_id, token)
        if op is None:
            return False
        desk.release(op.holder, token)
        _end_attempt(desk, op, token, _verdict_on_lost(op, reason))
    return True


def _verdict_on_lost(op: _RunningOp, reason: str) -> Verdict:
    if op.run_state == states.CANCELING:
        return Verdict.canceled(reason)
    return Verdict.failure(reason, retry.delay_before_next(op.plan.by_key[op.key].retry, op.attempt))


def return_admitted(desk: Desk, queue: str, count: int) -> int:
    """Send up to `count` ops that no worker has started back to their place in line, the last in line first.

    Called when a queue has lost workers: more ops are on their way than there are workers to take them.
    """
    found = rows(
        "SELECT o.id, o.token FROM runs_op o JOIN runs_run r ON r.id = o.run_id"
        " WHERE o.queue = %s AND o.state = 'admitted'"
        " ORDER BY r.priority + o.priority, o.ready_at DESC, o.id DESC LIMIT %s",
        [queue, count],
    )
    desk.lock([op_holder(op_id) for op_id, _ in found])
    sent_back = 0
    for op_id, token in found:
        returned = rows(
            "UPDATE runs_op SET state = 'ready', token = NULL, admitted_at = NULL"
            " WHERE id = %s AND token = %s AND state = 'admitted' RETURNING id, key, priority, run_id, ready_at",
            [op_id, token],
        )
        if returned:
            desk.release(op_holder(op_id), token)
            _ask_again(desk, [(*op[:4], moment(op[4])) for op in returned])
            sent_back += 1
    return sent_back


# --- cancel -----------------------------------------------------------------------------------------


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
            f" WHERE run_id = %s AND state IN ({_UNFINISHED}) AND state <> 'running' RETURNING id",
            [stamp(desk.now), run_id],
        )
        holders = [op_holder(op_id) for (op_id,) in stopped]
        desk.withdraw([run_holder(run_id), *holders])
        desk.release_all(*holders)
        _end_run_if_over(desk, run_id, states.CANCELING)
        running = rows(
            "SELECT w.name, o.id FROM runs_op o JOIN runs_worker w ON w.id = o.worker_id"
            " WHERE o.run_id = %s AND o.state = 'running'",
            [run_id],
        )
        _tell(desk, run_id)
        transaction.on_commit(lambda: tickets.interrupt(running))
    return True


# --- the run ends -----------------------------------------------------------------------------------


def _end_run_if_over(desk: Desk, run_id: int, run_state: str) -> None:
    """End the run with its last op: everything it holds is free, whatever the end."""
    if rows(f"SELECT 1 FROM runs_op WHERE run_id = %s AND state IN ({_UNFINISHED}) LIMIT 1", [run_id]):
        return
    found = {state for (state,) in rows("SELECT DISTINCT state FROM runs_op WHERE run_id = %s", [run_id])}
    state = graph.outcome(found, cancel_requested=run_state == states.CANCELING)
    run(
        "UPDATE runs_run SET state = %s, ended_at = %s WHERE id = %s AND state IN ('canceling', 'queued', 'started')",
        [state, stamp(desk.now), run_id],
    )
    desk.release_all(run_holder(run_id))
    desk.close_gates(admission.run_family(run_id))


# --- priority ---------------------------------------------------------------------------------------


def set_priority(run_id: int, priority: int) -> bool:
    """Give a run another priority; it and its waiting ops take their new places at once.

    False: the run is over, nothing was changed.
    """
    with claims.desk() as desk:
        target = Run.objects.filter(pk=run_id).first()
        if target is None or target.over:
            return False
        target.tags[system_tags.PRIORITY] = str(priority)
        Run.objects.filter(pk=run_id).update(priority=priority, tags=target.tags)
        RunTag.objects.update_or_create(run_id=run_id, key=system_tags.PRIORITY, defaults={"value": str(priority)})
        desk.reprioritize(run_holder(run_id), priority)
        for op_id, own in rows("SELECT id, priority FROM runs_op WHERE run_id = %s AND state = 'ready'", [run_id]):
            desk.reprioritize(op_holder(op_id), priority + own)
        _tell(desk, run_id)
    return True


def _tell(desk: Desk, run_id: int) -> None:
    """Let those who watch know that this run changed."""
    desk.topics.update(("runs", f"run:{run_id}"))
