"""Who waits where: ops ask for slots, return to their place, and change it with their run's priority."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from pools import claims
from pools.claims import Desk
from pools.claims.lock import marks, moment, rows
from runs import admission, graph, in_force, plans, states, system_tags
from runs.models import Run, RunTag

# In SQL as literals, so that both databases see that the partial indexes apply.
UNFINISHED = ",".join(f"'{state}'" for state in states.OP_UNFINISHED)


def run_holder(run_id: int) -> str:
    """A run's name as a holder."""
    return f"run:{run_id}"


def op_holder(op_id: int) -> str:
    """An op's name as a holder."""
    return f"op:{op_id}"


def tell(desk: Desk, run_id: int) -> None:
    """Let those who watch know that this run changed."""
    desk.topics.update(("runs", f"run:{run_id}"))


def ask(
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
                until=_until(desk, plan.by_key[key]),
            )
            for op_id, key, priority in ready
        ]
    )


def ask_again(desk: Desk, ops: Sequence[tuple[int, str, int, int, datetime]]) -> None:
    """Put ops (id, key, priority, run id, waiting since) in line again."""
    run_ids = sorted({run_id for _, _, _, run_id, _ in ops})
    if not run_ids:
        return
    found = rows(f"SELECT id, priority, pools_held, plan_id FROM runs_run WHERE id IN ({marks(run_ids)})", run_ids)
    of_run = {run_id: (priority, json.loads(held), plans.load(plan_id)) for run_id, priority, held, plan_id in found}
    asks = []
    for op_id, key, priority, run_id, since in sorted(ops):
        run_priority, held, plan = of_run[run_id]
        spec = plan.by_key[key]
        needs = admission.op_needs(run_id, plan, spec, held)
        asks.append(claims.Ask(op_holder(op_id), run_priority + priority, since, needs, until=_until(desk, spec)))
    desk.ask(asks)
    for run_id in run_ids:
        tell(desk, run_id)


def ask_for_start(desk: Desk, *asking: Run) -> None:
    """Put queued runs in line, by what is in force now. Each may wait for as long as its tag says since its launch."""
    needed = {run.plan_id: plans.load(run.plan_id) for run in asking}
    rules = in_force.rules()
    granularity = in_force.granularity({pool for plan in needed.values() for pool in plan.pools})
    asks = []
    for run in asking:
        wanted = admission.run_needs(run.tags, needed[run.plan_id], rules, granularity)
        patience = system_tags.as_seconds(run.tags.get(system_tags.MAX_WAIT))
        until = None if patience is None else run.queued_at + timedelta(seconds=patience)
        holder = run_holder(run.pk)
        asks.append(claims.Ask(holder, run.priority, run.queued_at, wanted.needs, wanted.prospects, until))
        tell(desk, run.pk)
    desk.ask(asks)


def _until(desk: Desk, spec: graph.OpSpec) -> datetime | None:
    """When an op that gets in line now will have waited for too long. It has not waited while it ran."""
    return None if spec.max_wait is None else desk.now + timedelta(seconds=spec.max_wait)


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
            ask_again(desk, [(*op[:4], moment(op[4])) for op in returned])
            sent_back += 1
    return sent_back


class Overtaken(Exception):
    """A run's priority is not the one that was seen any more: somebody made it `now`. Nothing was changed."""

    def __init__(self, now: int) -> None:
        super().__init__(f"the priority was changed since you looked: it is {now} now.")
        self.now = now


def set_priority(run_id: int, priority: int, seen: int | None = None) -> int | None:
    """Give a run another priority; it and its waiting ops take their new places at once.

    Returns the one that it had. None: the run is over, nothing was changed. With `seen`, only a run that has this
    priority is given another; raises Overtaken.
    """
    with claims.desk() as desk:
        target = Run.objects.filter(pk=run_id).first()
        if target is None or target.over:
            return None
        before = target.priority if seen is None else seen
        target.tags[system_tags.PRIORITY] = str(priority)
        if not Run.objects.filter(pk=run_id, priority=before).update(priority=priority, tags=target.tags):
            raise Overtaken(target.priority)
        RunTag.objects.update_or_create(run_id=run_id, key=system_tags.PRIORITY, defaults={"value": str(priority)})
        desk.reprioritize(run_holder(run_id), priority)
        for op_id, own in rows("SELECT id, priority FROM runs_op WHERE run_id = %s AND state = 'ready'", [run_id]):
            desk.reprioritize(op_holder(op_id), priority + own)
        tell(desk, run_id)
    return before
