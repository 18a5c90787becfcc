"""Finds the runs and ops that are not over along the indexes in which no others stand, however many are over.

SQLite takes such an index only if a statement asks for its order, or says its condition with the values written out;
else it reads all rows. PostgreSQL would read all rows backwards, in search of the newest of a state that is rare, if it
were not asked for the order of the index.
"""

from __future__ import annotations

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from pools.firsts import first_of_each, values
from runs import states
from runs.models import Op, Run

ACTIVE = (states.QUEUED, *states.RUN_IN_PROGRESS)
# The states of ops that have an index of their own, with the column by which it is in order.
_ORDER = {
    states.READY: "ready_at",
    states.ADMITTED: "queue",
    states.RUNNING: "worker_id",
    states.UP_FOR_RETRY: "retry_at",
}
AT_WORK = (states.READY, states.ADMITTED, states.RUNNING)


def runs(most: int) -> QuerySet[Run]:
    """The newest runs that are not over, so many of each state at most."""
    newest = (
        "SELECT r.id FROM runs_run r WHERE r.state BETWEEN active.column1 AND active.column1"
        " ORDER BY r.state, r.id DESC LIMIT %s"
    )
    ids = first_of_each(f"{values('varchar(12)', len(ACTIVE))} AS active", "runs_run", newest)
    return Run.objects.filter(pk__in=RawSQL(ids, [*ACTIVE, most]))


def ops_in(state: str) -> QuerySet[Op]:
    """The ops in a state that has an index of its own, in the order of that index."""
    return Op.objects.filter(state=state).order_by(_ORDER[state])


def ops_at_work(most: int) -> QuerySet[Op]:
    """The ops that wait, are admitted or run; of each so many at most, those that wait the shortest."""
    each = (
        f"SELECT id FROM (SELECT id FROM runs_op WHERE state = '{state}' ORDER BY {_ORDER[state]} DESC LIMIT %s)"
        f" AS {state}"
        for state in AT_WORK
    )
    return Op.objects.filter(pk__in=RawSQL(" UNION ALL ".join(each), [most] * len(AT_WORK)))


def unfinished_ops() -> QuerySet[Op]:
    """The ops that have something to do, by their run."""
    named = ", ".join(f"'{state}'" for state in states.OP_UNFINISHED)
    unfinished = RawSQL(f'"runs_op"."state" IN ({named})', [], output_field=BooleanField())
    return Op.objects.filter(unfinished).order_by("run", "id")
