"""Removes what is older than it is to be kept: log lines, outputs, whole runs. Some hundred at a time, under no lock.

A run that others executed again is kept until they are gone: they may reuse its values. So is the run in which an asset
was made last, however old: others may ask for the value. The ledger of changes is kept for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q

from pools import claims
from pools.models import Wait
from runs import outputs, states
from runs.models import LogLine, Op, OpOutput, Plan, Pruned, Run
from runs.transitions import op_holder, run_holder

BATCH = 100  # runs seen to in one transaction
LOGS, OUTPUTS = "logs", "outputs"

Place = tuple[datetime, int]  # the end of a run, its id


@dataclass
class Removed:
    """The runs of which something was removed."""

    logs: int = 0
    outputs: int = 0
    runs: int = 0


def prune(enough: Callable[[], bool] = lambda: False) -> Removed:
    """Remove what is old enough by the settings KEEP_LOGS, KEEP_OUTPUTS and KEEP_RUNS, until `enough()`."""
    now = claims.clock_time()
    removed = Removed()
    for kind, days in ((LOGS, settings.KEEP_LOGS), (OUTPUTS, settings.KEEP_OUTPUTS)):
        while days and not enough() and (seen := _prune_part(kind, now - timedelta(days=days))):
            setattr(removed, kind, getattr(removed, kind) + seen)
    after: Place | None = None
    while settings.KEEP_RUNS and not enough():
        found = _over(now - timedelta(days=settings.KEEP_RUNS), after)
        if not found:
            break
        removed.runs += _remove_runs([run_id for _, run_id in found])
        after = found[-1]
    if removed.runs:
        Plan.objects.filter(~Exists(Run.objects.filter(plan=OuterRef("pk")))).delete()
    return removed


def _over(before: datetime, after: Place | None) -> list[Place]:
    """The next runs that ended before a time, in the order of their ends."""
    found = Run.objects.filter(ended_at__lt=before, state__in=states.RUN_TERMINAL)
    if after is not None:
        end, run_id = after
        found = found.filter(ended_at__gte=end).filter(Q(ended_at__gt=end) | Q(pk__gt=run_id))
    found = found.order_by("ended_at", "id")[:BATCH]
    return [(end, run_id) for end, run_id in found.values_list("ended_at", "id") if end is not None]


def _prune_part(kind: str, before: datetime) -> int:
    """Remove the logs or the outputs of the next runs, and note how far that is. Returns how many runs those were."""
    row = Pruned.objects.filter(pk=kind).first()
    found = _over(before, (row.ended_at, row.run_id) if row else None)
    if not found:
        return 0
    ids = [run_id for _, run_id in found]
    files: list[str] = []
    with transaction.atomic():
        if kind == LOGS:
            LogLine.objects.filter(run_id__in=ids).delete()
        else:
            files = _remove_outputs(set(ids) - _needed(ids))
        end, run_id = found[-1]
        Pruned.objects.update_or_create(pk=kind, defaults={"ended_at": end, "run_id": run_id})
    outputs.discard(*files)
    return len(ids)


def _remove_runs(run_ids: Sequence[int]) -> int:
    """Remove runs with all that is theirs, but for those that are needed. Returns how many."""
    ids = sorted(set(run_ids) - _needed(run_ids))
    if not ids:
        return 0
    with transaction.atomic():
        ops = Op.objects.filter(run_id__in=ids).values_list("id", flat=True)
        holders = [*map(op_holder, ops), *map(run_holder, ids)]
        for start in range(0, len(holders), 1000):
            Wait.objects.filter(holder__in=holders[start : start + 1000]).delete()
        files = _remove_outputs(ids)
        Run.objects.filter(pk__in=ids).delete()
    outputs.discard(*files)
    return len(ids)


def _remove_outputs(run_ids: Iterable[int]) -> list[str]:
    """Remove the rows of outputs; returns the bodies whose files are to go once that is committed."""
    found = OpOutput.objects.filter(op__run_id__in=list(run_ids))
    bodies = [body for body in found.values_list("body", flat=True) if outputs.has_file(body)]
    found.delete()
    return bodies


def _needed(run_ids: Sequence[int]) -> set[int]:
    """Those of the runs that others executed again, or in which an asset was made last."""
    families = Run.objects.filter(Q(parent__in=run_ids) | Q(root__in=run_ids)).values_list("parent", "root")
    needed = {run_id for family in families for run_id in family if run_id is not None}
    made = Op.objects.filter(asset=True, state=states.SUCCESS, reused_from=None)
    keys = made.filter(run_id__in=run_ids).values_list("key", flat=True).distinct()
    last = made.filter(key__in=list(keys)).values("key").annotate(last=Max("id")).values_list("last", flat=True)
    return needed | set(Op.objects.filter(pk__in=list(last)).values_list("run_id", flat=True))
