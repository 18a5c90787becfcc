"""Runs and ops that were admitted start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from pools import claims
from pools.claims import Desk, Grant
from pools.claims.lock import clock_sql, rows, run, seconds, stamp, table
from runs import admission, graph, in_force, plans, system_tags, tickets
from runs.transitions.line import UNFINISHED, ask, op_holder, tell


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
            told = json.loads(tags)
            _count_in(desk, grant, entering, told)
            _set_deadline(desk, grant.id, told)
            roots = rows(
                "UPDATE runs_op SET state = 'ready', ready_at = %s"
                f" WHERE run_id = %s AND state = 'pending' AND waits_for = 0 AND state IN ({UNFINISHED})"
                " RETURNING id, key, priority",
                [stamp(desk.now), grant.id],
            )
            ask(desk, grant.id, priority, pools, plans.load(plan_id), sorted(roots), desk.now)
            tell(desk, grant.id)


def _set_deadline(desk: Desk, run_id: int, tags: Mapping[str, str]) -> None:
    """A run may say for how long it may be in progress; what is no number of seconds says nothing."""
    limit = system_tags.as_seconds(tags.get(system_tags.MAX_RUNTIME))
    if limit is not None:
        deadline = desk.now + timedelta(seconds=limit)
        run("UPDATE runs_run SET deadline = %s WHERE id = %s", [stamp(deadline), run_id])


def _count_in(desk: Desk, grant: Grant, entering: Sequence[admission.Rule], tags: Mapping[str, str]) -> None:
    """A run that started from a lane of before is counted by the rules that are about to be in force, too."""
    if not entering:
        return
    needs = admission.queue_needs(tags, entering)
    missing = [need.gate for need in needs if need.gate.kind == "run_tag" and need.gate.key not in grant.gates]
    for gate_id in desk.open_gates(missing).values():
        desk.count_in(gate_id, [grant.holder])


@dataclass(frozen=True)
class Attempt:
    """An attempt that has started: all that executing it takes, so that nobody has to ask again."""

    op_id: int
    token: int
    run_id: int
    key: str
    number: int  # from 1
    forgiven: int  # crashes among those before it that are not held against the op
    run_uid: str
    job: str
    tags: Mapping[str, str]  # the run's
    params: Mapping[str, Any]
    plan: graph.Plan


@dataclass
class Taker:
    """A process that would run another op of its queue in place of the one that it completes."""

    queue: str
    worker_id: int | None
    pid: int
    known: Attempt  # the one that it completes: of the same run it need not be told again
    chosen: bool = False
    begun: Attempt | None = None  # the op that it is to run now: nobody else will


_taker: ContextVar[Taker | None] = ContextVar("taker", default=None)


@contextmanager
def taking_over(taker: Taker | None) -> Iterator[None]:
    """The first op of the taker's queue that is admitted inside starts with it, in the same transaction.

    It needs no ticket. If the process dies, its op is seen to like any other that runs there.
    """
    if taker is not None:
        taker.chosen, taker.begun = False, None
    before = _taker.set(taker)
    try:
        yield
    finally:
        _taker.reset(before)


def _start_at_once(admitted: Sequence[Sequence[Any]]) -> int | None:
    """Start the first op that the taker may run. Returns its id."""
    taker = _taker.get()
    if taker is None or taker.chosen:
        return None
    for op_id, token, queue, isolated, _ in admitted:
        if queue == taker.queue and not isolated:
            begun = _begin(op_id, token, taker.worker_id, taker.pid, taker.known)
            if begun is None:  # its worker is not counted any more
                return None
            taker.chosen = True
            transaction.on_commit(partial(setattr, taker, "begun", begun))
            return int(op_id)
    return None


def take_what_runs_here(taker: Taker) -> None:
    """The answer to an earlier call was lost: what had been given to this process runs in it by the tables."""
    found = rows(
        "SELECT id, token FROM runs_op WHERE worker_id = %s AND pid = %s AND state = 'running'",
        [taker.worker_id, taker.pid],
    )
    for op_id, token in found:
        taker.begun = start(op_id, token, taker.worker_id, taker.pid)


def admit_ops(desk: Desk, grants: Sequence[Grant]) -> None:
    """Ready ops were admitted: they get their tokens, and after commit their tickets.

    One of them may start at once, in the process that opened the desk: see `taking_over`.
    """
    row = "(CAST(%s AS bigint), CAST(%s AS bigint))"
    admitted = rows(
        "UPDATE runs_op SET state = 'admitted', token = v.column2, admitted_at = %s"
        f" FROM {table(row, len(grants))} AS v WHERE runs_op.id = v.column1 AND state = 'ready'"
        " RETURNING runs_op.id, token, queue, isolated, run_id",
        [stamp(desk.now), *(value for grant in grants for value in (grant.id, grant.token))],
    )
    in_order = {grant.id: place for place, grant in enumerate(grants)}
    admitted.sort(key=lambda row: in_order[row[0]])
    taken = _start_at_once(admitted)
    issued = [tickets.Ticket(op_id, token, queue) for op_id, token, queue, *_ in admitted if op_id != taken]
    for *_, run_id in admitted:
        tell(desk, run_id)
    transaction.on_commit(lambda: tickets.issue(issued))


def start(op_id: int, token: int, worker_id: int | None, pid: int) -> Attempt | None:
    """An admitted op is about to run in this process. None: the ticket is stale, drop it silently.

    1. Renew the slots under the ticket's token: no slots, no start.
    2. Make the attempt ours by a guarded write that names the same token; or find that it is ours already, when
       this is called again because the answer was lost. A worker that is not counted as alive starts nothing: its
       launcher stood still, and ends it as soon as it goes on. The clock finds that the ticket is gone.
    3. Read what the attempt needs to know of its run.
    Holds come before ops: expiry and cancel take them in the same order and never wait in a circle.
    """
    with transaction.atomic():
        if not claims.renew([Grant(op_holder(op_id), token)], settings.LEASE_SECONDS):
            return None
        begun = _begin(op_id, token, worker_id, pid)
        if begun is not None:
            transaction.on_commit(lambda: tickets.announce({"runs", f"run:{begun.run_id}"}))
    return begun


def _begin(op_id: int, token: int, worker_id: int | None, pid: int, known: Attempt | None = None) -> Attempt | None:
    """Make the attempt this process's. `known`: an attempt of which run's facts are known already."""
    counted = [] if worker_id is None else [worker_id]
    started = rows(
        f"UPDATE runs_op SET state = 'running', attempt = attempt + 1, started_at = {clock_sql()},"
        " worker_id = %s, pid = %s, ended_at = NULL, retry_at = NULL, error = ''"
        " WHERE id = %s AND token = %s AND state = 'admitted'"
        + " AND EXISTS (SELECT 1 FROM runs_worker w WHERE w.id = %s)" * len(counted)
        + " RETURNING run_id, key, attempt, crashes",
        [seconds(0), worker_id, pid, op_id, token, *counted],
    ) or rows(
        "SELECT run_id, key, attempt, crashes FROM runs_op"
        " WHERE id = %s AND token = %s AND state = 'running' AND worker_id = %s AND pid = %s",
        [op_id, token, worker_id, pid],
    )
    if not started:
        return None
    run_id, key, number, forgiven = started[0]
    if known is not None and known.run_id == run_id:
        return replace(known, op_id=op_id, token=token, key=key, number=number, forgiven=forgiven)
    uid, job, tags, params, plan_id, plan = rows(
        "SELECT r.uid, r.job, r.tags, r.params, p.id, p.body"
        " FROM runs_run r JOIN runs_plan p ON p.id = r.plan_id WHERE r.id = %s",
        [run_id],
    )[0]
    return Attempt(
        op_id,
        token,
        run_id,
        key,
        number,
        forgiven,
        uid,
        job,
        json.loads(tags),
        json.loads(params),
        plans.read(plan_id, plan),
    )
