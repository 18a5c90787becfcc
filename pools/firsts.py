"""The first few of each of many, and of several: SQL for their ids, found along an index, not by reading all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL


def first_of_each(many: str, of: str, first: str) -> str:
    """The ids that `first` finds for each row of `many`.

    `first` selects ids of the table `of`, in an order and up to a limit; it may name columns of `many`.
    """
    if connection.vendor == "postgresql":
        return f"SELECT found.id FROM {many} CROSS JOIN LATERAL ({first}) AS found"
    return f"SELECT found.id FROM {many} JOIN {of} found ON found.id IN ({first})"


def rows_of_each(many: str, of: str, first: str) -> str:
    """The same as rows of the table `of`, with all its columns. `first` leaves open which it selects: "SELECT r.{} …".

    PostgreSQL reads no row then but these; by their ids it may read a small table as a whole.
    """
    if connection.vendor == "postgresql":
        return f"SELECT found.* FROM {many} CROSS JOIN LATERAL ({first.format('*')}) AS found"
    return f"SELECT found.* FROM {many} JOIN {of} found ON found.id IN ({first.format('id')})"


def any_of(*parts: QuerySet[Any, Any]) -> RawSQL:
    """What any of some queries finds, of one column each: as one list, for by an OR of them a table would be read."""
    told = [part.query.sql_with_params() for part in parts]
    sql = " UNION ALL ".join(f"SELECT * FROM ({sql}) AS part_{number}" for number, (sql, _) in enumerate(told))
    return RawSQL(sql, [param for _, params in told for param in params])


def values(kind: str, count: int) -> str:
    """So many parameters of an SQL type as rows, to be `many`; their column is column1 on both databases."""
    return "(VALUES " + ", ".join([f"(CAST(%s AS {kind}))"] * count) + ")"


def marks(parameters: Sequence[object]) -> str:
    """Placeholders for an IN list."""
    return ", ".join(["%s"] * len(parameters))
