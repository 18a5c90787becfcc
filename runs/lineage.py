"""Read models of what came before: the tries of an op, the runs that a run executes again, the ops that it reuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from pools.firsts import any_of
from runs import queries, states
from runs.models import Op, OpEvent, Run

MOST_CHILDREN = 5  # shown of a run
MOST_TRIES = 100  # of an op, on its page
NEWEST = 20  # failures among which those are looked for that need a person
MOST_OF_A_RUN = 2000
LATELY = 20  # runs of a job among which its last success is looked for


def tries(op: Op) -> list[OpEvent]:
    """What befell the attempts of an op, the newest last; of very many the newest."""
    if not queries.is_told_of(op):
        return []
    return list(OpEvent.objects.filter(op=op).order_by("-id")[:MOST_TRIES])[::-1]


def tries_of(run: Run, ops: Iterable[Op]) -> dict[int, list[OpEvent]]:
    """The same for all `ops` of a run, by the op's id; of very many the newest."""
    if not any(map(queries.is_told_of, ops)):
        return {}
    found: dict[int, list[OpEvent]] = {}
    for event in list(OpEvent.objects.filter(op__run=run).order_by("-id")[:MOST_OF_A_RUN])[::-1]:
        found.setdefault(event.op_id, []).append(event)
    return found


@dataclass(frozen=True)
class Family:
    """The runs that a run comes from, and those that came of it."""

    parent: Run | None  # the run that it executes again
    root: Run | None  # the first of them, where that is another one
    children: tuple[Run, ...]  # those that execute it again, the newest last
    more: bool  # whether there are older ones than these
    source: Run | None = None  # the run from which its launch was filled in
    launches: tuple[Run, ...] = ()  # those whose launches were filled in from it, the newest last
    more_launches: bool = False

    @property
    def newest(self) -> Run | None:
        return self.children[-1] if self.children else None


NOT_SHOWN = Family(None, None, (), False)  # where a run is shown without its family


@dataclass(frozen=True)
class Kin:
    """The runs that a run is shown beside. `before`: the last before it that executed the same and succeeded."""

    family: Family
    before: Run | None


def kin(run: Run) -> Kin:
    """The family of a run, of very many children the newest; and the last success, if it is among the newest runs of
    its job. One query.
    """
    lately = queries.of_job(Run.objects.all(), run.job, before=run.pk).order_by("-job", "-id")
    parts = [lately.values("id")[:LATELY]]
    if run.over:  # only what is over is executed again
        parts.append(Run.objects.filter(parent=run).order_by("-id").values("id")[: MOST_CHILDREN + 1])
    parts.append(Run.objects.filter(source=run).order_by("-id").values("id")[: MOST_CHILDREN + 1])
    above = [pk for pk in (run.parent_id, run.root_id, run.source_id) if pk is not None]
    if above:
        parts.append(Run.objects.filter(pk__in=above).values("id"))
    found = {row.pk: row for row in Run.objects.filter(pk__in=any_of(*parts)).order_by("-id")}
    children = [row for row in found.values() if row.parent_id == run.pk][: MOST_CHILDREN + 1]
    launches = [row for row in found.values() if row.source_id == run.pk][: MOST_CHILDREN + 1]
    same = (row for row in found.values() if row.pk < run.pk and (row.job, row.plan_id) == (run.job, run.plan_id))
    family = Family(
        found.get(run.parent_id or 0),
        found.get(run.root_id or 0) if run.root_id != run.parent_id else None,
        tuple(children[:MOST_CHILDREN][::-1]),
        len(children) > MOST_CHILDREN,
        found.get(run.source_id or 0),
        tuple(launches[:MOST_CHILDREN][::-1]),
        len(launches) > MOST_CHILDREN,
    )
    return Kin(family, next((row for row in same if row.state == states.SUCCESS), None))


def newest_child(run: Run) -> Run | None:
    """The run that was the last to execute this one again."""
    return Run.objects.filter(parent=run).order_by("-id").first()


@dataclass(frozen=True)
class Failure:
    """A run that failed, and where."""

    run: Run
    op: str  # the first op that failed; empty where it was no op's fault
    error: str
    reusable: bool  # whether anything of it succeeded


def open_failures(most: int = 3) -> QuerySet[Run]:
    """The newest runs that failed and that nobody, nor they by themselves, executes again; of the newest failures."""
    newest = Run.objects.filter(state=states.FAILURE).order_by("-id").values("pk")[:NEWEST]
    again = Run.objects.filter(parent=OuterRef("pk"))
    return Run.objects.filter(~Exists(again), pk__in=newest, retry_at=None).order_by("-id")[:most]


def with_failure(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Runs, each with what `as_failure` tells of it."""
    ops = Op.objects.filter(run=OuterRef("pk"))
    broken = ops.filter(state=states.FAILURE).order_by("rank")
    return runs.annotate(
        broken=Subquery(broken.values("key")[:1]),
        told=Subquery(broken.values("error")[:1]),
        reusable=Exists(ops.filter(state=states.SUCCESS)),
    )


def as_failure(run: Run) -> Failure:
    """A run from `with_failure`."""
    return Failure(run, run.broken or "", run.error or run.told or "", run.reusable)  # type: ignore[attr-defined]


def sources(ops: Iterable[Op]) -> dict[int, Op]:
    """The ops whose success these reuse, by their ids, with their runs. What is gone is left out."""
    wanted = {op.reused_from for op in ops if op.reused_from is not None}
    return {op.pk: op for op in Op.objects.filter(pk__in=wanted).select_related("run")} if wanted else {}
