"""Reads what runs and ops say that they should have, and the rows that are compared with each other.

In whatever transaction the caller has opened: all of it stands as at one moment. A hundred thousand runs may be queued,
so those whose place in line is plainly the right one are left out by the database.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat

from pools import claims
from pools.audit.books import Books, GateRow, Says, Wanted
from pools.models import Gate, Hold, Waiter
from runs import admission, in_force, plans, present, states
from runs.audit.drift import DueRow, OpRow, RunRow, TicketRow, TransactionRow, WorkerRow
from runs.models import Op, Run, RunQueue, TagRule, Worker
from runs.transitions import op_holder, run_holder

A_MOMENT = timedelta(seconds=5)
AT_ONCE = 500  # rows named in one query: SQLite takes no more than a thousand

Statement = tuple[str, tuple[Any, ...]]  # and its parameters

# --- who is to be looked at -------------------------------------------------------------------------


def holders() -> set[str]:
    """Whoever holds slots or should, and whoever waits in a line and by its own state not at the same place."""
    found = set(Hold.objects.values_list("holder", flat=True).distinct())
    found |= {run_holder(pk) for pk in _in_progress().values_list("pk", flat=True)}
    for state in states.OP_WITH_SLOTS:
        found |= set(map(op_holder, present.ops_in(state).values_list("pk", flat=True)))
    return found | set(_misplaced())


def _misplaced() -> Iterator[str]:
    waiters, queued, ready = _statements_of_misplaced()
    for statement in waiters:
        yield from (waiter.holder for waiter in Waiter.objects.raw(*statement))
    yield from (run_holder(run.pk) for run in Run.objects.raw(*queued))
    yield from (op_holder(op.pk) for op in Op.objects.raw(*ready))


@cache
def _statements_of_misplaced() -> tuple[list[Statement], Statement, Statement]:
    """They are the same each time, and to put them together takes much longer than to have them answered."""
    of_neither = Waiter.objects.exclude(holder__startswith="run:").exclude(holder__startswith="op:")
    runs = Run.objects.filter(state=states.QUEUED)
    ops = Op.objects.filter(state=states.READY).annotate(place=F("priority") + F("run__priority"))
    at_its_place = {"pk": OuterRef("number"), "priority": OuterRef("priority"), "queued_at": OuterRef("since")}
    of_runs = Waiter.objects.filter(~Exists(runs.filter(**at_its_place)), holder__startswith="run:")
    at_its_place = {"pk": OuterRef("number"), "place": OuterRef("priority"), "ready_at": OuterRef("since")}
    of_ops = Waiter.objects.filter(~Exists(ops.filter(**at_its_place)), holder__startswith="op:")
    standing = Waiter.objects.filter(holder=_holder("run:"), priority=OuterRef("priority"), since=OuterRef("queued_at"))
    queued = runs.filter(~Exists(standing)).only("pk")
    standing = Waiter.objects.filter(holder=_holder("op:"), priority=OuterRef("place"), since=OuterRef("ready_at"))
    ready = ops.filter(~Exists(standing)).only("pk")
    waiters = [found.only("holder") for found in (of_neither, of_runs, of_ops)]
    return (
        [found.query.sql_with_params() for found in waiters],
        queued.query.sql_with_params(),
        ready.query.sql_with_params(),
    )


def _holder(kind: str) -> Concat:
    return Concat(Value(kind), Cast(OuterRef("pk"), CharField()))


def _in_progress() -> QuerySet[Run]:
    return Run.objects.filter(state__in=states.RUN_IN_PROGRESS)


# --- what they say ----------------------------------------------------------------------------------


def says(names: Iterable[str]) -> dict[str, Says]:
    """What these holders say that they should have. One that is not there says nothing."""
    ids: dict[str, list[int]] = {"run": [], "op": []}
    for name in names:
        kind, _, number = name.partition(":")
        if kind in ids and number.isascii() and number.isdecimal() and len(number) < 19:
            ids[kind].append(int(number))
    found: dict[str, Says] = {}
    rules = in_force.rules()
    gone = TagRule.objects.filter(phase=in_force.LEAVING).values_list("pk", flat=True)
    leaving = frozenset(Gate.objects.filter(family__in=map(admission.rule_family, gone)).values_list("key", flat=True))
    for some in _batches(ids["run"]):
        for run in Run.objects.filter(pk__in=some):
            found[run_holder(run.pk)] = _of_run(run, rules, leaving)
    for some in _batches(ids["op"]):
        for op in Op.objects.filter(pk__in=some).select_related("run"):
            found[op_holder(op.pk)] = _of_op(op)
    return found


def _of_run(run: Run, rules: Collection[admission.Rule], leaving: frozenset[str]) -> Says:
    text = f"run {run.short} is {run.state}"
    if run.state == states.QUEUED:
        return Says(text, place=(run.priority, run.queued_at))
    if run.state not in states.RUN_IN_PROGRESS:
        return Says(text)
    kept = admission.Granularity("op", dict.fromkeys(json.loads(run.pools_held), "run"))
    needs = admission.run_needs(run.tags, plans.load(run.plan_id), rules, kept).needs
    return Says(text, needs, besides=leaving)


def _of_op(op: Op) -> Says:
    text = f"op {op.key} of run {op.run.short} is {op.state}"
    if op.state == states.READY and op.ready_at is not None:
        return Says(text, place=(op.run.priority + op.priority, op.ready_at))
    if op.state not in states.OP_WITH_SLOTS:
        return Says(text)
    plan = plans.load(op.run.plan_id)
    needs = admission.op_needs(op.run_id, plan, plan.by_key[op.key], json.loads(op.run.pools_held))
    return Says(text, needs, op.token)


# --- what was set -----------------------------------------------------------------------------------


def with_limits(books: Books) -> Books:
    """The same with what was set for those gates that are no pools'."""
    maximum = RunQueue.objects.get().max_concurrent_runs
    rules = {admission.rule_family(rule.pk): rule for rule in TagRule.objects.all()}
    alive: dict[str, int] = {}
    for queue in Worker.objects.values_list("queue", flat=True):
        alive[queue] = alive.get(queue, 0) + 1
    families = {row.family for row in books.gates.values() if row.gate.kind in ("executor", "executor_tag")}
    runs = {admission.run_family(pk): plan for pk, plan in _in_progress().values_list("pk", "plan")}
    inner = {family: _limits_within(family, runs[family]) for family in families & runs.keys()}

    def wanted(row: GateRow) -> Wanted | None:
        gate = row.gate
        match gate.kind:
            case "runs":
                return Wanted(maximum, f"the run queue's maximum is {'unset' if maximum is None else maximum}")
            case "run_tag" if rule := rules.get(row.family):
                limit = rule.limit if rule.phase == in_force.FORCE else None
                return Wanted(limit, f"the rule {rule} is {rule.phase}, with a limit of {rule.limit}")
            case "workers":
                count = alive.get(gate.label, 0)
                return Wanted(count, f"{count} worker{'' if count == 1 else 's'} of queue {gate.label} live")
            case "executor" | "executor_tag" if gate.key in inner.get(row.family, {}):
                limit = inner[row.family][gate.key]
                return Wanted(limit, f"its run's job says {limit}")
        return row.wanted

    return replace(books, gates={key: replace(row, wanted=wanted(row)) for key, row in books.gates.items()})


def _limits_within(family: str, plan_id: int) -> dict[str, int | None]:
    """The limits of the gates of one run, by key."""
    plan, run_id = plans.load(plan_id), int(family.rpartition(":")[2])
    needs = [need for spec in plan.ops for need in admission.op_needs(run_id, plan, spec)]
    return {need.gate.key: need.gate.limit for need in needs if need.gate.family == family}


# --- rows that are compared with each other ---------------------------------------------------------


def runs_in_progress() -> list[RunRow]:
    unfinished = Exists(Op.objects.filter(run=OuterRef("pk"), state__in=states.OP_UNFINISHED))
    return [
        RunRow(run.pk, run.short, run.state, run.unfinished) for run in _in_progress().annotate(unfinished=unfinished)
    ]


def ops_left() -> list[OpRow]:
    """Unfinished ops that have nothing to do in their runs any more."""
    # Asked op by op: by a join SQLite would look for the ops of all runs that are over.
    of = Subquery(Run.objects.filter(pk=OuterRef("run")).values("state"))
    over = Q(of__in=states.RUN_TERMINAL) | (Q(of=states.CANCELING) & ~Q(state=states.RUNNING))
    return [_row(op) for op in present.unfinished_ops().alias(of=of).filter(over).select_related("run")]


def ops_of_started() -> Iterator[tuple[int, list[OpRow]]]:
    """Of each started run that has pending ops, its plan and all its ops."""
    pending = Op.objects.filter(run__state=states.STARTED, state=states.PENDING).order_by().values("run").distinct()
    found: dict[int, tuple[int, list[OpRow]]] = {}
    for op in Op.objects.filter(run__in=pending).select_related("run").order_by("run", "rank"):
        found.setdefault(op.run_id, (op.run.plan_id, []))[1].append(_row(op))
    yield from found.values()


def _row(op: Op) -> OpRow:
    return OpRow(op.pk, op.run_id, op.run.short, op.key, op.state, op.waits_for, op.run.state)


def due(before: datetime) -> list[DueRow]:
    """What was due before a time, or is due at none."""
    found = [
        DueRow(op_holder(op.pk), f"the retry of op {op.key} of run {op.run.short}", op.retry_at)
        for op in present.ops_in(states.UP_FOR_RETRY)
        .filter(Q(retry_at=None) | Q(retry_at__lt=before))
        .select_related("run")
    ]
    found += [
        DueRow(waiter.holder, f"{waiter.holder}'s end of waiting", waiter.give_up_at)
        for waiter in Waiter.objects.filter(give_up_at__lt=before).order_by("holder")
    ]
    found += [
        DueRow(run_holder(run.pk), f"the end of run {run.short}, which takes too long,", run.deadline)
        for run in Run.objects.filter(deadline__lt=before, state=states.STARTED).order_by("id")
    ]
    return found


def workers(ids: Collection[int] | None = None) -> list[WorkerRow]:
    found = Worker.objects.order_by("id") if ids is None else Worker.objects.filter(pk__in=ids).order_by("id")
    return [WorkerRow(w.pk, w.name, w.queue, w.host, w.pid, w.lease_until) for w in found]


def admitted(before: datetime) -> list[TicketRow]:
    """The tickets of the ops that were admitted before a time."""
    found = present.ops_in(states.ADMITTED).filter(admitted_at__lt=before).select_related("run")[:1000]
    return [TicketRow(op.pk, op.token or 0, op.queue, op.admitted_at, "", _name(op), op.state) for op in found]


def old(age: timedelta) -> list[TransactionRow]:
    """The transactions that have kept dead rows from being removed for longer than so."""
    found = claims.holding_back(age.total_seconds())
    return [TransactionRow(row.name, row.who, row.what, row.since, row.ends_it) for row in found]


def tickets_of(seen: Iterable[TicketRow]) -> list[TicketRow]:
    """These tickets, with what their ops are now."""
    seen = list(seen)
    ops = {
        op.pk: op
        for some in _batches(row.op for row in seen)
        for op in Op.objects.filter(pk__in=some).select_related("run")
    }
    return [
        replace(row, name=_name(ops[row.op]), state=ops[row.op].state if ops[row.op].token == row.token else "")
        if row.op in ops
        else row
        for row in seen
    ]


def _name(op: Op) -> str:
    return f"op {op.key} of run {op.run.short}"


def idle_workers(now: datetime) -> set[str]:
    """The living workers on which no op runs, by name.

    Nor is one about to: a process that is kept for further ops has started the next one a moment after its admission.
    """
    running = Op.objects.filter(worker=OuterRef("pk"), state=states.RUNNING)
    coming = Op.objects.filter(queue=OuterRef("queue"), state=states.ADMITTED, admitted_at__gt=now - A_MOMENT)
    return set(Worker.objects.filter(~Exists(running), ~Exists(coming)).values_list("name", flat=True))


def _batches(ids: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]
