"""Read models of the deployment as a whole: the run queue, its limits, who is next, what failed, the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from pools import explain, samples
from pools import queries as pool_queries
from pools.explain import Waiting
from pools.models import Gate
from pools.queries import COUNT_TO, Also, Picture
from runs import admission, in_force, lineage, present, states
from runs.lineage import Failure
from runs.models import Op, Run, RunQueue, TagRule, Worker
from runs.tag_limits import TagLimit
from runs.transitions import run_holder

# Counted no further than needed, along the partial indexes: so the states stand there as literals, and in the order of
# those indexes, for else PostgreSQL reads the tables until it has found enough.
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM {} ORDER BY {} LIMIT %s) AS counted)"
_QUEUED = _COUNT.format(f"runs_run WHERE state = '{states.QUEUED}'", "priority DESC, queued_at, id")
_WAITING = _COUNT.format(f"runs_op WHERE state = '{states.READY}'", "ready_at")
_IN_PROGRESS = f"COALESCE((SELECT in_use FROM pools_gate WHERE key = '{admission.RUNS}'), 0)"
_DRIFT = "COALESCE((SELECT drift FROM pools_audit ORDER BY id DESC LIMIT 1), 0)"
# Of the newest failures, those that nobody, nor they by themselves, executes again: as `lineage.open_failures`.
_FAILED = f"""(SELECT count(*)
    FROM (SELECT id, retry_at FROM runs_run WHERE state = '{states.FAILURE}'
          ORDER BY id DESC LIMIT {lineage.NEWEST}) AS failed
    WHERE failed.retry_at IS NULL AND NOT EXISTS (SELECT 1 FROM runs_run AS again WHERE again.parent_id = failed.id))"""


# Up to when the clock has sampled how things stand, which it does every so many seconds: its sign of life.
_SAMPLED = f"(SELECT upto FROM pools_sampled WHERE step = {samples.FINEST})"
_COUNTED = {
    "runs_queued": _QUEUED,
    "runs_in_progress": _IN_PROGRESS,
    "ops_waiting": _WAITING,
    "maximum": "(SELECT max_concurrent_runs FROM runs_runqueue)",
    "maximum_version": "(SELECT version FROM runs_runqueue)",
    "drift": _DRIFT,
    "failed": _FAILED,
    "sampled": _SAMPLED,
}
SILENT = 30.0  # seconds beyond that, after which the clock counts as silent


@dataclass(frozen=True)
class Now:
    """How many runs are queued and in progress, how many ops wait; the run queue's maximum and its version; the drift.

    Who waits is counted up to COUNT_TO + 1 (`pools.queries.counted` says it), or further where more was asked for.
    `drift`: how many findings the last audit made. `failed`: how many of the newest failures need a person.
    `silent_since`: when the clock was heard last, if that was too long ago; None also where it was never heard.
    """

    queued: int
    progress: int
    waiting: int
    maximum: int | None
    version: int
    drift: int = 0
    failed: int = 0
    silent_since: datetime | None = None


def now(most: int = COUNT_TO) -> Now:
    """The deployment in a few numbers. One query."""
    return _as_now(RunQueue.objects.annotate(**counted(most)).values(*_COUNTED).get())


def counted(most: int = COUNT_TO) -> Also:
    """The same as subqueries, for a query that is made anyway: with `beside`, or `known`."""
    return {name: RawSQL(sql, [most + 1] if "%s" in sql else [], IntegerField()) for name, sql in _COUNTED.items()}


def beside(picture: Picture) -> Now:
    """The deployment in a few numbers, as they stood when a picture was taken with `counted`."""
    return _as_now(picture.also) if picture.also else now()


def known(also: Mapping[str, Any]) -> dict[str, Now]:
    """The same as `now` for a block that shows what was read with `counted`, if anything was: no page asks again."""
    return {"now": _as_now(also)} if also else {}


def _as_now(row: Mapping[str, Any]) -> Now:
    return Now(
        row["runs_queued"],
        row["runs_in_progress"],
        row["ops_waiting"],
        row["maximum"],
        row["maximum_version"],
        row["drift"],
        row["failed"],
        _silent_since(row["sampled"]),
    )


def _silent_since(sampled: int | None) -> datetime | None:
    heard = datetime.fromtimestamp(sampled, UTC) if sampled else None
    late = timedelta(seconds=samples.FINEST + SILENT)
    return heard if heard and timezone.now() - heard > late else None


# --- the run queue ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueuedRun:
    """A run in the queue, its place and why it waits."""

    run: Run
    place: int
    waiting: Waiting | None


def queued(most: int = 50, picture: Picture | None = None) -> list[QueuedRun]:
    """The queue in the order in which runs would start, each with its reason."""
    found = list(_in_order_of_start()[:most])
    return _with_reasons(found, explain.waiting([run_holder(run.pk) for run in found], picture))


def _in_order_of_start() -> QuerySet[Run]:
    queued = RawSQL(f"'{states.QUEUED}'", [])  # a literal, so that the partial index serves
    return Run.objects.filter(state=queued).order_by(F("priority").desc(), "queued_at", "id")


def _with_reasons(found: Sequence[Run], why: Mapping[str, Waiting]) -> list[QueuedRun]:
    return [QueuedRun(run, place, why.get(run_holder(run.pk))) for place, run in enumerate(found, 1)]


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


def queue_limits(at: Now | None = None, gates: Sequence[Gate] | None = None) -> QueueLimits:
    """The run queue's limits and how much of them is in use. What was read before is not asked for again."""
    at = at or now()
    gates = pool_queries.gates("runs", "run_tag") if gates is None else gates
    rows = TagRule.objects.exclude(phase=in_force.LEAVING).order_by("key", "value", "id")
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
    return QueueLimits(at.maximum, at.version, in_progress, rules)


def known_tags(most: int = 12) -> list[str]:
    """Tags that runs not yet over carry, for choosing one for a rule."""
    active = present.runs(200).order_by("-id").values_list("tags", flat=True)[:200]
    found = {f"{key}={value}" for tags in active for key, value in tags.items()}
    return sorted(found)[:most]


# --- what comes next and what went wrong --------------------------------------------------------------


@dataclass(frozen=True)
class Ahead:
    """The first runs of the queue, why the first op or run in the line of a pool waits, and the newest failures."""

    queued: Sequence[QueuedRun]
    first_at_pool: Waiting | None
    failures: Sequence[Failure]


def ahead(pool: str, picture: Picture, most: int = 5) -> Ahead:
    """What the overview tells of runs, in a few queries."""
    # By one list of ids: an OR of two would read all runs.
    parts = [
        Run.objects.filter(pk__in=part.values("pk")) for part in (_in_order_of_start()[:most], lineage.open_failures())
    ]
    ids = parts[0].values("pk").union(parts[1].values("pk"), all=True)
    found = lineage.with_failure(Run.objects.filter(pk__in=ids))
    next_up = [run for run in found if run.state == states.QUEUED]
    next_up.sort(key=lambda run: (-run.priority, run.queued_at, run.pk))
    holders = [run_holder(run.pk) for run in next_up]
    why, at_pool = explain.waiting_and_first(holders, pool, picture)
    failed = sorted((run for run in found if run.state == states.FAILURE), key=lambda run: -run.pk)
    return Ahead(_with_reasons(next_up, why), at_pool, [lineage.as_failure(run) for run in failed])


# --- workers ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkerView:
    """A living worker and the op that it runs. `heard`: when its launcher has last said that it is alive."""

    row: Worker
    op: Op | None

    @property
    def heard(self) -> datetime:
        return self.row.lease_until - timedelta(seconds=settings.LEASE_SECONDS)


def workers_at_work(most: int = 200) -> list[WorkerView]:
    """The first living workers, by host, each with its op."""
    found = list(Worker.objects.order_by("host", "queue", "id")[:most])
    at_work = Op.objects.filter(state=states.RUNNING, worker__in=[row.pk for row in found]).select_related("run")
    ops = {op.worker_id: op for op in at_work}
    return [WorkerView(row, ops.get(row.pk)) for row in found]


@dataclass(frozen=True)
class QueueWorkers:
    """The workers of an RQ queue: how many live, how many are busy, how many ops find none free."""

    queue: str
    alive: int
    busy: int
    waiting: int


def worker_queues(gates: Sequence[Gate] | None = None) -> list[QueueWorkers]:
    """Every RQ queue that an op has named or a worker has served."""
    return [
        QueueWorkers(gate.label, gate.limit or 0, gate.in_use, gate.line)  # type: ignore[attr-defined]
        for gate in (pool_queries.gates("workers") if gates is None else gates)
    ]
