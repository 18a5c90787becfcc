"""Read models for people: lists of runs, one run, and who is behind a holder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Exists, OuterRef, QuerySet
from django.db.models.expressions import RawSQL

from pools import claims, explain, rules
from pools.explain import Waiting
from pools.firsts import first_of_each, values
from pools.models import Gate
from pools.queries import Also
from runs import graph, plans, states
from runs.catalog import ASSET_JOB
from runs.models import Op, OpEvent, Run
from runs.transitions import op_holder, run_holder

LAST = 2**63 - 1  # no id is greater
MOST_HOLDERS = 500  # ops of a run whose slots are counted
MOST_LIMITS = 40  # shown of those that a run meets


class NoSuchRun(LookupError):
    """No run has this uid, or a uid that begins like this."""


class Ambiguous(LookupError):
    """Several runs have uids that begin like this."""


def find(uid: str) -> Run:
    """The run with this uid, or the one whose uid begins with it. Raises NoSuchRun, Ambiguous."""
    if not uid or len(uid) > 32 or not uid.isalnum():
        raise NoSuchRun(f"There is no run {uid!r}.")
    found = list(beginning(uid).order_by("-id")[:2])
    if not found:
        raise NoSuchRun(f"There is no run {uid!r}.")
    if len(found) > 1:
        raise Ambiguous(f"Several runs begin with {uid!r}; write more of it.")
    return found[0]


def beginning(uid: str, among: QuerySet[Run] | None = None) -> QuerySet[Run]:
    """The runs, all or `among` some, whose uids begin like this, by the index on them: LIKE has none on SQLite.

    A range of hexadecimal numbers is the same in whatever order a database has letters.
    """
    found = Run.objects.all() if among is None else among
    return found.filter(uid__range=(uid.lower().ljust(32, "0"), uid.lower().ljust(32, "f")))


def by_id(run_id: int) -> Run:
    """The run with this id. Raises NoSuchRun."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise NoSuchRun(f"There is no run {run_id}.")
    return run


def job_name(run: Run) -> str:
    """The name under which a run is shown."""
    return "assets" if run.job == ASSET_JOB else run.job


# --- lists ------------------------------------------------------------------------------------------


def of_job(found: QuerySet[Run], name: str, before: int | None = None) -> QuerySet[Run]:
    """Those of a job, launched before a run. Ordered by `-job` and `-id` they are read along an index, and no others.

    By "=", PostgreSQL would read all runs backwards, in search of those of a job that had none for long.
    """
    if connection.vendor != "postgresql":
        return found.filter(job=name) if before is None else found.filter(job=name, pk__lt=before)
    return in_job(found, name, "<", LAST if before is None else before).filter(job__gte=name)


def in_job(found: QuerySet[Run], name: str, sign: str, bound: int | QuerySet[Run, Any]) -> QuerySet[Run]:
    """Those of a job's runs that come before or after a place among them, so that PostgreSQL begins or ends there.

    `bound` is an id, or finds one. SQLite needs to be told the id only.
    """
    if connection.vendor != "postgresql":
        return found
    told, params = ("%s", (bound,)) if isinstance(bound, int) else bound.query.sql_with_params()
    place = f'("runs_run"."job", "runs_run"."id") {sign} (%s, ({told}))'
    return found.filter(RawSQL(place, [name, *params], output_field=BooleanField()))


def job_histories(names: Iterable[str], most: int = 12) -> dict[str, list[Run]]:
    """The newest runs of each job, newest first. One query, which reads no other run of a job."""
    found: dict[str, list[Run]] = {name: [] for name in names}
    if not found:
        return {}
    newest_of_job = (  # as `of_job`
        "SELECT r.id FROM runs_run r WHERE r.job BETWEEN jobs.column1 AND jobs.column1"
        " ORDER BY r.job DESC, r.id DESC LIMIT %s"
    )
    newest = first_of_each(f"{values('varchar(200)', len(found))} AS jobs", "runs_run", newest_of_job)
    for run in Run.objects.filter(pk__in=RawSQL(newest, [*found, most])).order_by("-id"):
        found[run.job].append(run)
    return found


# --- one run ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpView:
    """An op with what it waits for."""

    op: Op
    upstream: tuple[str, ...]  # those that have not finished
    waiting: Waiting | None
    pools: Mapping[str, int]

    @property
    def wait_until(self) -> datetime | None:
        """When its waiting ended, None if it has not."""
        return self.op.started_at or self.op.admitted_at


@dataclass(frozen=True)
class RunView:
    """A run's ops in plan order, with why those wait that do; why it waits itself, if it does; and its limits.

    `limits`: the gates that they meet now, in the order in which they are met, each with its `line`, and with `mine`:
    the slots that the run and its ops have. `also`: see `pools.queries.Picture`.
    """

    ops: Sequence[OpView]
    waiting: Waiting | None
    limits: Sequence[Gate]
    also: Mapping[str, Any]


def view_of(run: Run, also: Also | None = None) -> RunView:
    """A run as it stands. Three queries."""
    ops = list(_ops().filter(run=run).order_by("rank"))
    if run.over:
        return RunView(_op_views(run, ops, {}), None, [], {})
    holder = run_holder(run.pk)
    at_work = [op_holder(op.pk) for op in ops if op.state in states.OP_WITH_SLOTS]
    asking = [holder] if run.state == states.QUEUED else _ready(ops)
    why, picture = explain.waiting_and_met(asking, [holder, *at_work[:MOST_HOLDERS]], also)
    met = {check.gate.id for one in why.values() for check in one.explanation.checks}
    met |= {entry.gate.id for one in why.values() for entry in one.explanation.taken}
    limits = sorted(
        (gate for gate in picture.gates.values() if gate.pk in met or gate.mine),  # type: ignore[attr-defined]
        key=lambda gate: (rules.KINDS.index(gate.kind), gate.pk),
    )
    return RunView(_op_views(run, ops, why), why.get(holder), limits[:MOST_LIMITS], picture.also)


def ops_of(run: Run) -> list[OpView]:
    """The ops of a run in plan order, with why those wait that do."""
    ops = list(_ops().filter(run=run).order_by("rank"))
    return _op_views(run, ops, explain.waiting(_ready(ops)))


def _ready(ops: Iterable[Op]) -> list[str]:
    return [op_holder(op.pk) for op in ops if op.state == states.READY]


def _op_views(run: Run, ops: Sequence[Op], why: Mapping[str, Waiting]) -> list[OpView]:
    plan = plans.load(run.plan_id)
    unfinished = {op.key for op in ops if op.state != states.SUCCESS}
    return [
        OpView(
            op,
            tuple(key for key in spec.upstream if key in unfinished),
            why.get(op_holder(op.pk)),
            spec.pools,
        )
        for op in ops
        for spec in (_spec(plan, op),)
    ]


def dependencies(run: Run, ops: Iterable[OpView]) -> dict[str, tuple[str, ...]]:
    """What each op of a run comes after, in topological order.

    Of what it reuses too, as the first of its family had it, unless the job has been turned round since.
    """
    keys = dict.fromkeys(view.op.key for view in ops)
    plan, first = plans.load(run.plan_id).by_key, None
    if run.root_id is not None and any(key not in plan for key in keys):
        first = Run.objects.filter(pk=run.root_id).values_list("plan_id", flat=True).first()
    for specs in ({**plan, **plans.load(first).by_key}, plan) if first else (plan,):
        found = {key: tuple(up for up in specs[key].upstream if up in keys) if key in specs else () for key in keys}
        try:
            return {key: found[key] for key in graph.in_order(found)}
        except graph.Cycle:
            continue
    return dict.fromkeys(keys, ())


def op(op_id: int) -> OpView | None:
    """One op and its upstream that has not finished; why it waits for slots is `runs.why`'s to say."""
    row = _ops().filter(pk=op_id).select_related("run").first()
    return _view(row) if row else None


def find_op(uid: str, key: str) -> OpView | None:
    """The op under a step key of the run with this uid, or whose uid begins with it. Raises as `find` does."""
    exact = _ops().filter(run__uid=uid, key=key).select_related("run").first()
    if exact is not None:
        return _view(exact)
    row = _ops().filter(run=find(uid), key=key).select_related("run").first()
    return _view(row) if row else None


def is_told_of(op: Op) -> bool:
    """Whether anything befell an op's attempts; of one that was read elsewhere that is not known, and may be."""
    return getattr(op, "told", True)


def _ops() -> QuerySet[Op]:
    """Ops, each with whether anything befell its attempts: mostly nothing did, and is not asked for."""
    return Op.objects.annotate(told=Exists(OpEvent.objects.filter(op=OuterRef("pk"))))


def _view(row: Op) -> OpView:
    spec = _spec(plans.load(row.run.plan_id), row)
    unfinished: tuple[str, ...] = ()
    if row.state == states.PENDING:
        ended = Op.objects.filter(run=row.run_id, key__in=spec.upstream, state=states.SUCCESS)
        done = set(ended.values_list("key", flat=True))
        unfinished = tuple(key for key in spec.upstream if key not in done)
    return OpView(row, unfinished, None, spec.pools)


def _spec(plan: graph.Plan, op: Op) -> graph.OpSpec:
    """What an op is. One that is reused is not in the plan: its run does not execute it."""
    return plan.by_key.get(op.key) or graph.OpSpec(op.key)


def why_queued(run: Run) -> Waiting | None:
    """Why a run is still in the queue, None if it is not."""
    return explain.waiting([run_holder(run.pk)]).get(run_holder(run.pk))


# --- who holds and waits ----------------------------------------------------------------------------


def named(holders: Sequence[str]) -> dict[str, Op | Run]:
    """The ops and runs behind holders' names. Others are left out."""
    ops = _numbers("op:", holders)
    found: dict[str, Op | Run] = {op_holder(op.pk): op for op in Op.objects.filter(pk__in=ops).select_related("run")}
    run_ids = _numbers("run:", holders)
    if run_ids:
        found |= {run_holder(run.pk): run for run in Run.objects.filter(pk__in=run_ids)}
    return found


def _numbers(kind: str, holders: Sequence[str]) -> set[int]:
    """The numbers of the holders of a kind. A name without one is nobody's."""
    return {number for holder in holders if holder.startswith(kind) and (number := claims.number_of(holder))}
