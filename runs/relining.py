"""Moves queued runs to the lanes that a new rule, or another granularity, gives them: in short transactions.

A hundred thousand runs can't be moved in one without stopping everything else. So

1. a new rule's gates are born without a limit. They count the runs in progress; new launches use them at once;
2. queued runs are moved, some hundred a transaction, in the order of their ids;
3. with the last of them the limit is put in force.

A run that starts in between, from its old lane, is counted by the new rule all the same (`transitions.start_runs`).
Leaving is the same backwards: the limit goes first, then the runs move, then the gates are removed. Whoever
began a relining carries it out; if that process dies, the clock goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db.models import QuerySet

from pools import claims
from runs import admission, in_force, plans, states, transitions
from runs.in_force import ENTERING, FORCE, LEAVING
from runs.models import PlanPool, Relining, Run, TagRule
from runs.tag_limits import TagLimit

BATCH = 500  # runs moved in one transaction


def enter(desk: claims.Desk, row: TagRule) -> None:
    """Let a new rule count, and begin to move the runs that wait. It was born in this transaction."""
    rule = in_force.as_rule(row)
    in_progress: dict[str, list[int]] = {}
    for run_id, tags in with_tag(rule.limit, states.RUN_IN_PROGRESS).values_list("id", "tags"):
        heading = rule.limit.counts(tags)
        if heading is not None:
            in_progress.setdefault(heading, []).append(run_id)
    for heading, run_ids in in_progress.items():
        spec = admission.rule_gate(rule, heading)
        gate_id = desk.open_gates([spec])[spec.key]
        desk.count_in(gate_id, [transitions.run_holder(run_id) for run_id in run_ids])
    _step(desk, Relining.objects.create(rule=row))


def leave(desk: claims.Desk, row: TagRule) -> None:
    """Let a rule limit nothing any more, and begin to move the runs that wait."""
    TagRule.objects.filter(pk=row.pk, version=row.version).update(phase=LEAVING, version=row.version + 1)
    for gate_id in desk.family(admission.rule_family(row.pk)):
        desk.resize(gate_id, None)
    Relining.objects.filter(rule=row).delete()
    _step(desk, Relining.objects.create(rule=TagRule.objects.get(pk=row.pk)))


def switch(desk: claims.Desk, pools: Sequence[str]) -> None:
    """Begin to move the queued runs that use pools whose granularity was switched in this transaction."""
    if pools:
        _step(desk, Relining.objects.create(pools=list(pools)))


def finish(enough: Callable[[], bool] = lambda: False) -> int:
    """Go on until all queued runs have moved, or `enough()`. Returns how many transactions it took."""
    transactions = 0
    while not enough() and Relining.objects.exists():
        transactions += 1
        with claims.desk() as desk:
            relining = Relining.objects.order_by("id").first()
            if relining is not None:
                _step(desk, relining)
    return transactions


def with_tag(limit: TagLimit, run_states: Sequence[str]) -> QuerySet[Run]:
    """The runs in some states that carry a rule's tag, in the order of their ids."""
    tagged = {"runtag__key": limit.key} | ({"runtag__value": limit.value} if limit.value is not None else {})
    return Run.objects.filter(state__in=run_states, **tagged).order_by("id")


def _step(desk: claims.Desk, relining: Relining) -> None:
    """Move the next runs; with the last of them, end the relining."""
    found = list(_concerned(relining).filter(pk__gt=relining.after)[:BATCH])
    rules = in_force.rules()
    granularity = in_force.granularity()
    moves = []
    for run in found:
        wanted = admission.run_needs(run.tags, plans.load(run.plan_id), rules, granularity)
        moves.append(
            claims.Ask(transitions.run_holder(run.pk), run.priority, run.queued_at, wanted.needs, wanted.prospects)
        )
    desk.move(moves)
    desk.topics.add("rules")
    if len(found) == BATCH:
        Relining.objects.filter(pk=relining.pk).update(after=found[-1].pk)
        return
    relining.delete()
    if relining.rule is not None:
        _end(desk, relining.rule)


def _concerned(relining: Relining) -> QuerySet[Run]:
    if relining.rule is not None:
        return with_tag(in_force.as_rule(relining.rule).limit, (states.QUEUED,))
    users = PlanPool.objects.filter(pool__in=relining.pools).values("plan")
    return Run.objects.filter(state=states.QUEUED, plan__in=users).order_by("id")


def _end(desk: claims.Desk, row: TagRule) -> None:
    """All runs have moved: a new rule's limit is put in force, a leaving rule is gone."""
    family = desk.family(admission.rule_family(row.pk))
    if row.phase == ENTERING:
        TagRule.objects.filter(pk=row.pk).update(phase=FORCE)
        for gate_id in family:
            desk.resize(gate_id, row.limit)
    elif row.phase == LEAVING:
        for gate_id in family:
            desk.remove_gate(gate_id)
        TagRule.objects.filter(pk=row.pk).delete()
