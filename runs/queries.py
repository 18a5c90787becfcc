"""Read models for people: lists, one run, who holds and who waits, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet

from pools import queries as pool_queries
from pools.queries import Waiting
from runs import admission, graph, in_force, plans, states
from runs.catalog import ASSET_JOB
from runs.models import LogLine, Op, Run, RunQueue, TagRule, Worker
from runs.tag_limits import TagLimit
from runs.transitions import op_holder, run_holder

COUNT_TO = 10_000

# The groups under which runs are filtered.
GROUPS: dict[str, tuple[str, ...]] = {
    "queued": (states.QUEUED,),
    "progress": states.RUN_IN_PROGRESS,
    "success": (states.SUCCESS,),
    "failure": (states.FAILURE,),
    "canceled": (states.CANCELED,),
}


class NoSuchRun(LookupError):
    """No run has this uid, or a uid that begins like this."""


class Ambiguous(LookupError):
    """Several runs have uids that begin like this."""


def find(uid: str) -> Run:
    """The run with this uid, or the one whose uid begins with it. Raises NoSuchRun, Ambiguous."""
    if not uid or len(uid) > 32 or not uid.isalnum():
        raise NoSuchRun(f"There is no run {uid!r}.")
    found = list(Run.objects.filter(uid__startswith=uid).order_by("-id")[:2])
    if not found:
        raise NoSuchRun(f"There is no run {uid!r}.")
    if len(found) > 1:
        raise Ambiguous(f"Several runs begin with {uid!r}; write more of it.")
    return found[0]


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


@dataclass(frozen=True)
class Filter:
    """Which runs to list."""

    group: str = ""
    job: str = ""
    tag: str = ""  # key or key=value

    def apply(self, found: QuerySet[Run]) -> QuerySet[Run]:
        if self.group in GROUPS:
            found = found.filter(state__in=GROUPS[self.group])
        if self.job:
            found = found.filter(job=ASSET_JOB if self.job == "assets" else self.job)
        if self.tag:
            key, equals, value = self.tag.partition("=")
            tagged = {"runtag__key": key} | ({"runtag__value": value} if equals else {})
            found = found.filter(**tagged)
        return found


def runs(wanted: Filter, before: int | None = None, most: int = 30) -> tuple[list[Run], int | None]:
    """A page of runs, newest first, and the id to pass as `before` for the next page (None: that was all)."""
    found = wanted.apply(Run.objects.all())
    if before is not None:
        found = found.filter(pk__lt=before)
    page = list(found.order_by("-id")[: most + 1])
    return page[:most], page[most - 1].pk if len(page) > most else None


def counts() -> dict[str, int]:
    """How many runs are queued and in progress, and how many ops wait and run. Partial indexes serve all."""
    return {
        "queued": Run.objects.filter(state=states.QUEUED).order_by()[: COUNT_TO + 1].count(),
        "progress": Run.objects.filter(state__in=states.RUN_IN_PROGRESS).order_by()[: COUNT_TO + 1].count(),
        "waiting": Op.objects.filter(state=states.READY).order_by()[: COUNT_TO + 1].count(),
    }


def job_histories(names: Iterable[str], most: int = 12) -> dict[str, list[Run]]:
    """The newest runs of each job."""
    return {name: list(Run.objects.filter(job=name).order_by("-id")[:most]) for name in names}


@dataclass(frozen=True)
class QueuedRun:
    """A run in the queue, its place and why it waits."""

    run: Run
    place: int
    waiting: Waiting | None


def queued(most: int = 50) -> list[QueuedRun]:
    """The queue in the order in which runs would start, each with its reason."""
    found = list(Run.objects.filter(state=states.QUEUED).order_by(F("priority").desc(), "queued_at", "id")[:most])
    why = pool_queries.waiting([run_holder(run.pk) for run in found])
    return [QueuedRun(run, place, why.get(run_holder(run.pk))) for place, run in enumerate(found, 1)]


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


def ops_of(run: Run) -> list[OpView]:
    """The ops of a run in plan order, with why those wait that do."""
    ops = list(Op.objects.filter(run=run).order_by("rank"))
    plan = plans.load(run.plan_id)
    unfinished = {op.key for op in ops if op.state != states.SUCCESS}
    why = pool_queries.waiting([op_holder(op.pk) for op in ops if op.state == states.READY])
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


def op(op_id: int) -> OpView | None:
    """One op and its upstream that has not finished; why it waits for slots is `runs.why`'s to say."""
    row = Op.objects.filter(pk=op_id).select_related("run").first()
    if row is None:
        return None
    spec = _spec(plans.load(row.run.plan_id), row)
    done = Op.objects.filter(run=row.run_id, key__in=spec.upstream, state=states.SUCCESS).values_list("key", flat=True)
    return OpView(row, tuple(key for key in spec.upstream if key not in set(done)), None, spec.pools)


def _spec(plan: graph.Plan, op: Op) -> graph.OpSpec:
    """What an op is. One that is reused is not in the plan: its run does not execute it."""
    return plan.by_key.get(op.key) or graph.OpSpec(op.key)


def find_op(run: Run, key: str) -> OpView | None:
    """The op of a run under a step key."""
    op_id = Op.objects.filter(run=run, key=key).values_list("pk", flat=True).first()
    return op(op_id) if op_id is not None else None


def why_queued(run: Run) -> Waiting | None:
    """Why a run is still in the queue, None if it is not."""
    return pool_queries.waiting([run_holder(run.pk)]).get(run_holder(run.pk))


def log_of(run: Run, op: str = "", most: int = 200) -> list[LogLine]:
    """The last lines of a run's log, or of one op's, oldest first."""
    found = LogLine.objects.filter(run=run).select_related("op")
    if op:
        found = found.filter(op__key=op)
    return list(found.order_by("-id")[:most])[::-1]


# --- who holds and waits ----------------------------------------------------------------------------


def named(holders: Sequence[str]) -> dict[str, Op | Run]:
    """The ops and runs behind holders' names. Others are left out."""
    ops = {int(holder[3:]) for holder in holders if holder.startswith("op:")}
    found: dict[str, Op | Run] = {op_holder(op.pk): op for op in Op.objects.filter(pk__in=ops).select_related("run")}
    run_ids = {int(holder[4:]) for holder in holders if holder.startswith("run:")}
    if run_ids:
        found |= {run_holder(run.pk): run for run in Run.objects.filter(pk__in=run_ids)}
    return found


# --- the run queue ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class RuleView:
    """A tag rule with its use: one gate, or one for each value."""

    row: TagRule
    limit: TagLimit
    gates: tuple[tuple[str, int, int], ...]  # label, in use, in line

    @property
    def in_use(self) -> int:
        return sum(in_use for _, in_use, _ in self.gates)

    @property
    def held_back(self) -> int:
        return sum(line for _, _, line in self.gates)


@dataclass(frozen=True)
class QueueLimits:
    """The run queue's limits and their use."""

    maximum: int | None
    version: int
    in_progress: int
    rules: tuple[RuleView, ...]


def queue_limits() -> QueueLimits:
    """The run queue's limits and how much of them is in use."""
    settings = RunQueue.objects.get()
    rows = list(TagRule.objects.exclude(phase=in_force.LEAVING).order_by("key", "value", "id"))
    gates = pool_queries.gates("runs", "run_tag")
    rules = tuple(
        RuleView(
            row,
            TagLimit(row.key, row.limit, row.value, row.per_value),
            tuple(
                (gate.label, gate.in_use, gate.line)  # type: ignore[attr-defined]
                for gate in gates
                if gate.family == admission.rule_family(row.pk)
            ),
        )
        for row in rows
    )
    in_progress = sum(gate.in_use for gate in gates if gate.key == admission.RUNS)
    return QueueLimits(settings.max_concurrent_runs, settings.version, in_progress, rules)


def known_tags(most: int = 12) -> list[str]:
    """Tags that runs not yet over carry, for choosing one for a rule."""
    active = Run.objects.exclude(state__in=states.RUN_TERMINAL).order_by("-id").values_list("tags", flat=True)[:200]
    found = {f"{key}={value}" for tags in active for key, value in tags.items()}
    return sorted(found)[:most]


# --- workers ----------------------------------------------------------------------------------------


def workers() -> list[Worker]:
    """The living workers."""
    return list(Worker.objects.order_by("host", "queue", "id"))


@dataclass(frozen=True)
class QueueWorkers:
    """The workers of an RQ queue: how many live, how many are busy, how many ops find none free."""

    queue: str
    alive: int
    busy: int
    waiting: int


def worker_queues() -> list[QueueWorkers]:
    """Every RQ queue that an op has named or a worker has served."""
    return [
        QueueWorkers(gate.label, gate.limit or 0, gate.in_use, gate.line)  # type: ignore[attr-defined]
        for gate in pool_queries.gates("workers")
    ]
