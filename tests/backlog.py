"""Long backlogs, quickly: runs that were launched are copied as they stand, a hundred thousand by a few statements.

A copy is what launching the same again would have made: a run with its tags, its ops, its gates, its place in line and
what it holds and had waited for. The audit finds nothing (`tests.invariants`). Logs, outputs and events are not copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.models import Count, DateTimeField, Max, Sum

from pools.models import Gate, Hold, Wait, Waiter
from pools.rules import PRIVATE_KINDS
from runs import states
from runs.models import Op, Run, RunTag

BORN = (Run, Op, Gate)  # what others name by its id


def copy(first: Run, last: Run, times: int, apart: timedelta = timedelta(), in_room: bool = False) -> None:
    """Copy the runs launched from `first` to `last`, `times` times each, one round of all of them after the other.

    Their ops may wait, or be over; those with slots are refused: no worker would have a ticket for a copy. Everything
    in a round was by `apart` later than in the round before. `in_room`: their ids are those that `leave_room` left.
    """
    which = f"BETWEEN {first.pk} AND {last.pk}"
    if Op.objects.filter(run__gte=first.pk, run__lte=last.pk, state__in=states.OP_WITH_SLOTS).exists():
        raise ValueError("an op with slots has a ticket, and can't be copied")
    places = {
        Run: f"SELECT id FROM runs_run WHERE id {which}",
        Op: f"SELECT id FROM runs_op WHERE run_id {which}",
        Gate: f"SELECT g.id FROM pools_gate g JOIN runs_run r ON g.family = 'run:' || r.id WHERE r.id {which}",
    }
    with transaction.atomic():
        _run("CREATE TEMP TABLE rounds AS " + _rounds(times))
        new = {model: _placed(model, ids, in_room) for model, ids in places.items()}
        _copy_rows(new, apart)
        _run("DROP TABLE rounds")
        for model in BORN:
            _run(f"DROP TABLE {_places(model)}")
        for sql in connection.ops.sequence_reset_sql(no_style(), [*BORN, RunTag, Waiter, Hold, Wait]):
            _run(sql)
        _count_use()


def leave_room(times: int) -> None:
    """What is launched from now on gets ids above those that everything there is would have, copied so often.

    So runs that are launched before the copies are made come after them, as they do in time.
    """
    for model in BORN:
        table, ids = model._meta.db_table, model._default_manager.aggregate(count=Count("id"), last=Max("id"))
        last = (ids["last"] or 0) + ids["count"] * times
        if _on_postgres() and last:
            _run(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})")
        elif last:
            _run(f"UPDATE sqlite_sequence SET seq = {last} WHERE name = '{table}'")


def settle() -> None:
    """What a database does by itself after a while: PostgreSQL's autovacuum, SQLite's checkpoint."""
    _run("VACUUM ANALYZE" if _on_postgres() else "PRAGMA wal_checkpoint(TRUNCATE)")


def _copy_rows(new: Mapping[type[models.Model], str], apart: timedelta) -> None:
    """`new`: the id of the copy in a round, of the original whose place is known as `run`, `op` or `gate`."""
    run, op, gate = (new[model] for model in BORN)
    of_run = "JOIN places_of_run run ON run.id = o.{}"
    of_op = "JOIN places_of_op op ON op.id = o.{}"
    uid = "md5(random()::text || clock_timestamp()::text)" if _on_postgres() else "lower(hex(randomblob(16)))"
    _insert(Run, apart, of_run.format("id"), id=run, uid=uid)
    _insert(RunTag, apart, of_run.format("run_id"), run_id=run)
    _insert(Op, apart, f"{of_run.format('run_id')} {of_op.format('id')}", id=op, run_id=run)
    _insert(
        Gate,
        apart,
        "JOIN places_of_gate gate ON gate.id = o.id JOIN places_of_run run ON o.family = 'run:' || run.id",
        id=gate,
        family=f"'run:' || ({run})",
        key=f"replace(o.key, o.family || ':', 'run:' || ({run}) || ':')",
    )
    together = "string_agg" if _on_postgres() else "group_concat"
    own = (
        f"(SELECT '[' || {together}('[' || id || ', 1]', ', ') || ']' FROM (SELECT ({gate}) AS id"
        " FROM places_of_gate gate WHERE o.private LIKE '%%[' || gate.id || ', %%' ORDER BY gate.id) AS own)"
    )
    held_by = f"(SELECT ({gate}) FROM places_of_gate gate WHERE gate.id = o.held_by_id)"
    since_then = (
        "CASE WHEN o.held_by_id IS NULL THEN o.account ELSE"
        f" replace(o.account, '\"held\": [\"' || o.held_by_id || '\"', '\"held\": [\"' || {held_by} || '\"') END"
    )
    for kind, number in (("run", run), ("op", op)):
        holder = f"'{kind}:' || ({number})"
        its = f"JOIN places_of_{kind} {kind} ON o.holder = '{kind}:' || {kind}.id"
        changed = {"holder": holder, "number": number, "held_by_id": held_by, "account": since_then}
        _insert(Waiter, apart, its, **changed, private=f"CASE WHEN o.private = '[]' THEN '[]' ELSE {own} END")
        _insert(Hold, apart, its, holder=holder)
        _insert(Wait, apart, its, holder=holder)


def _insert(model: type[models.Model], apart: timedelta, join: str, **changed: str) -> None:
    """Copy the rows of a model, called `o`, in every round; an id that is not said is the database's to give."""
    if apart:
        times = [field.column for field in model._meta.concrete_fields if isinstance(field, DateTimeField)]
        changed = {column: _later(column, apart) for column in times if column != "lease_until"} | changed
    columns = [field.column for field in model._meta.concrete_fields if field.column != "id" or "id" in changed]
    names = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(changed.get(column, f'o."{column}"') for column in columns)
    table = model._meta.db_table
    _run(f"INSERT INTO {table} ({names}) SELECT {values} FROM rounds CROSS JOIN {table} o {join} ORDER BY n, o.id")


def _later(column: str, apart: timedelta) -> str:
    seconds = f"(n + 1) * {apart.total_seconds():.3f}"
    if _on_postgres():
        return f"o.\"{column}\" + {seconds} * interval '1 second'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', o.\"{column}\", '+' || ({seconds}) || ' seconds')"


def _placed(model: type[models.Model], ids: str, in_room: bool) -> str:
    """Number the originals of a model; returns the id of a copy, in SQL."""
    table, name = _places(model), model._meta.model_name
    _run(f"CREATE TEMP TABLE {table} AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM ({ids}) AS found")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), max(id) FROM {table}")
        count, last = cursor.fetchone()
    last = last if in_room else model._default_manager.aggregate(last=Max("id"))["last"]
    following = (last or 0) + 1
    return f"{following} + n * {count} + {name}.place"


def _places(model: type[models.Model]) -> str:
    return f"places_of_{model._meta.model_name}"


def _rounds(times: int) -> str:
    if _on_postgres():
        return f"SELECT n FROM generate_series(0, {times - 1}) AS n"
    return (
        "WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted"
        f" WHERE n < {times - 1}) SELECT n FROM counted"
    )


def _count_use() -> None:
    """Let the shared gates count the copies of holds. The CHECK refuses copies past a limit."""
    used = Hold.objects.exclude(gate__kind__in=PRIVATE_KINDS).values_list("gate").annotate(Sum("slots"))
    for gate_id, slots in used:
        Gate.objects.filter(pk=gate_id).exclude(in_use=slots).update(in_use=slots)


def _on_postgres() -> bool:
    return connection.vendor == "postgresql"


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [])
