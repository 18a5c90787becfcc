"""Keeps the frozen plans of runs: runs of one job share a row, and a process reads each row once."""

from __future__ import annotations

from django.db import transaction

from runs import graph
from runs.models import Plan, PlanPool

MOST_KNOWN = 256  # plans that a process remembers

_known: dict[int, graph.Plan] = {}


def keep(plan: graph.Plan) -> int:
    """The id of the row that holds this plan; it is written if it is new."""
    found = Plan.objects.filter(digest=plan.digest).values_list("pk", flat=True).first()
    if found is not None:
        return found
    with transaction.atomic():
        row, is_new = Plan.objects.get_or_create(digest=plan.digest, defaults={"body": plan.to_json()})
        if is_new:
            PlanPool.objects.bulk_create([PlanPool(plan=row, pool=pool) for pool in sorted(plan.pools)])
    return row.pk


def load(plan_id: int) -> graph.Plan:
    """The plan of a row. Rows never change, so a process may remember them."""
    return _known.get(plan_id) or read(plan_id, Plan.objects.get(pk=plan_id).body)


def read(plan_id: int, body: str) -> graph.Plan:
    """The plan of a row whose body is at hand. The process remembers it."""
    if plan_id not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[plan_id] = graph.Plan.from_json(body)
    return _known[plan_id]


def forget() -> None:
    """Forget all that was read: for tests, which empty the tables."""
    _known.clear()
