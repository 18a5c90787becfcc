"""Executes a run again that is over: all of it, or only what did not succeed, with the values of what did."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pools import claims
from runs import catalog, graph, launch, states, system_tags
from runs.catalog import ASSET_JOB, Job
from runs.launch import Again, CannotLaunch, NotDue
from runs.models import Op, Run

log = logging.getLogger(__name__)

# What a run says about itself, not about what is to be executed.
OWN_TAGS = (system_tags.PARENT_RUN, system_tags.ROOT_RUN, system_tags.RETRY_NUMBER)


def reexecute(run: Run, *, who: str, door: str, from_failure: bool, seen: int | None = None) -> Run:
    """Queue a run that executes another one again, with its tags and params, by the definitions of now.

    From failure: what succeeded is not run again, its values are reused; what comes after an op that is run again is
    run again too. Raises CannotLaunch: it is not over, nothing of it failed, or its job is not there any more.
    With `seen`, NotDue if there is a newer run that executes it again than the one with this id (0: any at all).
    """
    if not run.over:
        raise CannotLaunch({"run": f"run {run.short} is {run.state}: wait for its end, or cancel it"})
    return _again(run, who, door, from_failure, seen=seen)


def retry_due() -> int:
    """Execute again the runs that failed and have retries of their own left. Returns how many. Each once."""
    found = Run.objects.filter(retry_at__lte=claims.clock_time()).order_by("retry_at")[:50]
    launched = 0
    for run in found:
        strategy = run.tags.get(system_tags.RETRY_STRATEGY, system_tags.FROM_FAILURE)
        try:
            _again(run, run.launched_by, "retry", strategy == system_tags.FROM_FAILURE, retry=True)
            launched += 1
        except NotDue:
            pass
        except CannotLaunch as error:
            log.warning("run %s can't be executed again: %s", run.short, error)
            reason = f"it can't be executed again: {error}"
            told = f"{run.error}; {reason}" if run.error else reason
            Run.objects.filter(pk=run.pk, retry_at__isnull=False).update(retry_at=None, error=told[:500])
    return launched


def can_reuse(run: Run, of_ops: Iterable[str] | None = None) -> bool:
    """Whether anything of a run succeeded, and anything else did not: whether it can be executed from failure.

    `of_ops`: the states of all its ops, where they are known.
    """
    found = set(Op.objects.filter(run=run).values_list("state", flat=True) if of_ops is None else of_ops)
    return run.over and states.SUCCESS in found and found != {states.SUCCESS}


def _again(run: Run, who: str, door: str, from_failure: bool, retry: bool = False, seen: int | None = None) -> Run:
    job = _job(run)
    reused = _reused(run, job.plan) if from_failure else {}
    if len(reused) == len(job.plan.ops):
        raise CannotLaunch({"run": f"every op of run {run.short} succeeded: execute all of it again"})
    tags = {key: value for key, value in run.tags.items() if key not in OWN_TAGS}
    tags |= {system_tags.PARENT_RUN: run.uid, system_tags.ROOT_RUN: run.root.uid if run.root else run.uid}
    if retry:
        most = system_tags.as_retries(tags.get(system_tags.MAX_RETRIES)) or 0
        tags[system_tags.RETRY_NUMBER] = str(most - run.retries_left + 1)
    again = Again(run, job.plan.without(reused), reused, retry, seen)
    return launch.launch(job, who=who, door=door, tags=tags, values=run.params, again=again)


def _job(run: Run) -> Job:
    """The job of a run as it is defined now; for assets without a job, the same assets."""
    offered = catalog.current()
    if run.job == ASSET_JOB:
        return launch.find_assets(offered, Op.objects.filter(run=run).order_by("rank").values_list("key", flat=True))
    return launch.find_job(offered, run.job)


def _reused(run: Run, plan: graph.Plan) -> dict[str, int]:
    """The ops whose success is reused, and where it is: they succeeded, and so did all that they depend on."""
    found = Op.objects.filter(run=run, state=states.SUCCESS).values_list("key", "reused_from", "id")
    succeeded = {key: source or op_id for key, source, op_id in found}
    reused: dict[str, int] = {}
    for op in plan.ops:  # upstream first
        if op.key in succeeded and all(key in reused for key in op.upstream):
            reused[op.key] = succeeded[op.key]
    return reused
