"""Launches: checks what was asked for, then inserts a run and its ops and puts the run in the queue."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pools import claims
from pools import queries as pool_queries
from runs import admission, graph, lineage, params, plans, priority, states, system_tags, transitions
from runs.catalog import Catalog, Job
from runs.definitions import ALL, DefinitionError, checked_tags
from runs.models import Op, Run, RunTag

AT_ONCE = 250  # runs that are launched in one transaction, under the admission lock
ROWS = 500  # that are written by one statement


@dataclass(frozen=True)
class Again:
    """That a run executes another one again: `plan` is what it executes itself, `reused` what it takes as it is.

    `reused` names the op whose success each is. `retry`: it is one of the parent's own retries, which are launched
    once, whoever tries. `seen`: the newest run that executed the parent again, as who asks has seen it, 0 for none; if
    there is a newer one, nothing is launched. None: in any case.
    """

    parent: Run
    plan: graph.Plan
    reused: Mapping[str, int]
    retry: bool = False
    seen: int | None = None


@dataclass(frozen=True)
class Asked:
    """A run that is asked for: tags on top of the job's, a priority that is written as the tag for it, params; and the
    run from which this was filled in.
    """

    job: Job
    tags: Mapping[str, Any] | None = None
    priority: int | None = None
    values: Mapping[str, Any] | None = None
    source: Run | None = None


class NotDue(Exception):
    """Somebody else was first to execute a run again. Nothing was written."""


class CannotLaunch(ValueError):
    """What was asked for can't be launched; nothing was written. `errors` says what is wrong by field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in errors.items()))
        self.errors = dict(errors)


def find_job(catalog: Catalog, name: str) -> Job:
    """The job of this name. Raises CannotLaunch."""
    if name not in catalog.jobs:
        known = ", ".join(sorted(catalog.jobs)) or "none; set CONTROLPLANE_MODULES"
        raise CannotLaunch({"job": f"there is no job {name!r}; there are: {known}"})
    return catalog.jobs[name]


def find_assets(catalog: Catalog, names: Iterable[str]) -> Job:
    """A job of just these assets; "*": of all. Raises CannotLaunch."""
    wanted = [name for name in names if name]
    if ALL in wanted:
        if not catalog.assets:
            raise CannotLaunch({"select": "there are no assets; set CONTROLPLANE_MODULES"})
        return catalog.asset_job(catalog.assets)
    unknown = [name for name in wanted if name not in catalog.assets]
    if unknown:
        known = ", ".join(sorted(catalog.assets)) or "none; set CONTROLPLANE_MODULES"
        raise CannotLaunch({"select": f"there is no asset {unknown[0]!r}; there are: {known}"})
    if not wanted:
        raise CannotLaunch({"select": "select at least one asset"})
    return catalog.asset_job(wanted)


def launch(
    job: Job,
    *,
    who: str,
    door: str,
    tags: Mapping[str, Any] | None = None,
    priority: int | None = None,
    values: Mapping[str, Any] | None = None,
    again: Again | None = None,
    source: Run | None = None,
) -> Run:
    """Queue a run of a job; it starts at once if every limit has room. Every run goes through the queue.

    `tags` are added to the job's; `priority` is written as the tag for it. `values` are the params. `source`: the run
    from which this was filled in.
    Raises CannotLaunch; NotDue if somebody else was first to execute a run again. One transaction: the run, its ops,
    its place in the queue.
    """
    wanted = _checked(Asked(job, tags, priority, values, source), again)
    kept = _keep([wanted])
    with claims.desk() as desk:
        if again and not _is_first(again):
            raise NotDue
        (run,) = _queue(desk, [wanted], kept, who, door)
    run.refresh_from_db()
    return run


def launch_all(asked: Sequence[Asked], *, who: str, door: str) -> Iterator[list[str]]:
    """Queue many runs in this order, AT_ONCE in a transaction; yields the uids of each transaction when it is done.

    They are what as many launches would make. All are checked first. Raises CannotLaunch, whose errors begin with a
    place, from 0 ("7.tags"): then none is launched.
    """
    wanted: list[_Wanted] = []
    errors: dict[str, str] = {}
    for place, each in enumerate(asked):
        try:
            wanted.append(_checked(each))
        except CannotLaunch as error:
            errors |= {f"{place}.{name}": text for name, text in error.errors.items()}
    if errors:
        raise CannotLaunch(errors)
    return _queue_all(wanted, who, door)


def _queue_all(wanted: Sequence[_Wanted], who: str, door: str) -> Iterator[list[str]]:
    kept = _keep(wanted)
    for start in range(0, len(wanted), AT_ONCE):
        with claims.desk() as desk:
            runs = _queue(desk, wanted[start : start + AT_ONCE], kept, who, door)
        yield [run.uid for run in runs]


@dataclass(frozen=True)
class _Wanted:
    """A run that can be launched: checked."""

    job: Job
    plan: graph.Plan
    tags: Mapping[str, str]
    values: Mapping[str, Any]
    again: Again | None
    source: Run | None


def _checked(asked: Asked, again: Again | None = None) -> _Wanted:
    plan = again.plan if again else asked.job.plan
    tags, values = check(asked.job, plan, asked.tags, asked.priority, asked.values)
    return _Wanted(asked.job, plan, tags, values, again, asked.source)


def _keep(wanted: Sequence[_Wanted]) -> dict[int, int]:
    """Keep their plans, which runs of a job share; returns the rows' ids by the plans' identities."""
    return {mark: plans.keep(plan) for mark, plan in {id(each.plan): each.plan for each in wanted}.items()}


def _queue(desk: claims.Desk, wanted: Sequence[_Wanted], kept: Mapping[int, int], who: str, door: str) -> list[Run]:
    """Write the runs with their tags and ops, and put them in line."""
    runs = Run.objects.bulk_create(
        [
            Run(
                uid=uuid.uuid4().hex,
                job=each.job.name,
                plan_id=kept[id(each.plan)],
                state=states.QUEUED,
                priority=admission.run_priority(each.tags),
                tags=each.tags,
                params=each.values,
                launched_by=who[:150],
                door=door,
                queued_at=desk.now,
                source=each.source,
                **_family(each.again, each.tags),
            )
            for each in wanted
        ]
    )
    tags = [RunTag(run=run, key=key, value=value) for run in runs for key, value in run.tags.items()]
    RunTag.objects.bulk_create(tags, batch_size=ROWS)
    ops = [op for run, each in zip(runs, wanted, strict=True) for op in _ops(run, each, desk.now)]
    Op.objects.bulk_create(ops, batch_size=ROWS)
    transitions.ask_for_start(desk, *runs)
    return runs


def _ops(run: Run, wanted: _Wanted, now: datetime) -> Iterator[Op]:
    executed, again = wanted.plan.by_key, wanted.again
    for rank, op in enumerate(wanted.job.plan.ops):
        if op.key in executed:
            yield _pending(run, rank, executed[op.key])
        else:
            yield _reused(run, rank, op, again.reused[op.key] if again else None, now)


def check(
    job: Job,
    plan: graph.Plan,
    tags: Mapping[str, Any] | None = None,
    priority: int | None = None,
    values: Mapping[str, Any] | None = None,
) -> tuple[dict[str, str], dict[str, Any]]:
    """All tags that a run will have, and its params, completed with defaults. Raises CannotLaunch; writes nothing."""
    errors: dict[str, str] = {}
    all_tags = dict(job.tags)
    try:
        all_tags |= checked_tags(tags, "run")
    except DefinitionError as error:
        errors["tags"] = str(error)
    if priority is not None:
        all_tags[system_tags.PRIORITY] = str(priority)
    if wrong := system_tags.errors(all_tags):
        errors["tags"] = "; ".join(wrong.values())
    errors |= _priority_errors(all_tags, max((abs(op.priority) for op in plan.ops), default=0))
    try:
        checked = params.check(job.params, values or {})
    except params.InvalidParams as error:
        errors |= {f"params.{name}" if name else "params": text for name, text in error.errors.items()}
    errors |= _plan_errors(job.name, plan)
    if errors:
        raise CannotLaunch(errors)
    return all_tags, checked


def _pending(run: Run, rank: int, op: graph.OpSpec) -> Op:
    return Op(
        run=run,
        key=op.key,
        rank=rank,
        queue=op.queue,
        asset=op.asset,
        isolated=op.isolated,
        state=states.PENDING,
        priority=op.priority,
        waits_for=len(op.upstream),
    )


def _reused(run: Run, rank: int, op: graph.OpSpec, source: int | None, now: datetime) -> Op:
    """An op that has succeeded in an earlier run."""
    return Op(
        run=run,
        key=op.key,
        rank=rank,
        queue=op.queue,
        asset=op.asset,
        state=states.SUCCESS,
        reused_from=source,
        ended_at=now,
    )


def _family(again: Again | None, tags: Mapping[str, str]) -> dict[str, Any]:
    """What a run knows of those that it executes again, and of its own retries."""
    retries = system_tags.as_retries(tags.get(system_tags.MAX_RETRIES)) or 0
    if again is None:
        return {"retries_left": retries}
    left = again.parent.retries_left - 1 if again.retry else retries
    return {"retries_left": left, "parent": again.parent, "root_id": again.parent.root_id or again.parent.pk}


def _is_first(again: Again) -> bool:
    """Whether nobody else was first. Under the admission lock, so it stays so. The parent is not retried as well."""
    was_due = Run.objects.filter(pk=again.parent.pk, retry_at__isnull=False).update(retry_at=None)
    if again.retry:
        return bool(was_due)
    if again.seen is None:
        return True
    newest = lineage.newest_child(again.parent)
    return again.seen == (newest.pk if newest else 0)


def warnings(tags: Mapping[str, str], plan: graph.Plan | None = None) -> list[str]:
    """What is odd about a run's tags, and which of its ops can't start under the limits of now, though allowed."""
    said = []
    value = tags.get(system_tags.PRIORITY)
    if value is not None and system_tags.as_priority(value) is None:
        said.append(f"{system_tags.PRIORITY}={value!r} is no whole number; it counts as 0.")
    wide = [(op.key, name, slots) for op in plan.ops for name, slots in op.pools.items() if slots > 1] if plan else []
    limits = {pool.name: pool.limit for pool in pool_queries.pools()} if wide else {}
    for key, name, slots in wide:
        limit = limits.get(name)
        if limit is not None and limit < slots:
            said.append(f"Op {key} needs {slots} slots of pool {name}, whose limit is {limit}: it can't start.")
    return said


def _priority_errors(tags: Mapping[str, str], largest_of_ops: int) -> dict[str, str]:
    """What is wrong with a run's priority. One that is no number counts as 0 and is only warned of."""
    try:
        priority.check(admission.run_priority(tags), largest_of_ops)
    except priority.InvalidPriority as error:
        return {"priority": str(error)}
    return {}


def _plan_errors(name: str, plan: graph.Plan) -> dict[str, str]:
    """What is wrong with a plan that would not be read as it was written.

    Definitions are checked where they are written; what slips through must not reach the database, where
    every pass that looks at the run, also on behalf of others, would stumble over it.
    """
    return {"job": f"what job {name} needs can't be kept: {plan.flaw}"} if plan.flaw else {}
