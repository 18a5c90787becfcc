"""Definitions for the tests of the pages: a job with params of every basic type, and assets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

import controlplane as dg


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Params:
    table: str
    rows: int = 10
    share: float = 0.5
    full: bool = True
    size: Size = Size.SMALL


@dataclass
class Source:
    """Where the rows come from."""

    table: str
    rows: Annotated[int, Field(ge=1, le=100, description="How many are read at once.")] = 50


@dataclass
class Everything:
    """A param of every type that the launch form knows."""

    name: str = field(metadata={"description": "What it is called"})
    source: Source
    day: date = date(2026, 1, 31)
    at: time = time(10, 30)
    moment: datetime = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    lasts: timedelta = timedelta(minutes=5)
    price: Decimal = Decimal("1.50")
    key: UUID | None = None
    level: Literal[1, 2] = 1
    maybe: int | None = 7
    decided: bool | None = None
    mirror: Source | None = None
    columns: list[str] = field(default_factory=lambda: ["id", "total"])
    sizes: list[Size] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    query: Annotated[str, Field(json_schema_extra={"multiline": True})] = "select 1"
    anything: Any = None


@dg.op(pool="database")
def copy(context: dg.OpExecutionContext) -> None: ...


@dg.job(params=Params, tags={"team": "core"})
def copy_table():
    """Copies a table."""
    copy()


@dg.job(params=Everything)
def everything():
    """Takes a param of every type."""
    copy()


@dg.asset(pool={"database": 2})
def orders(): ...


@dg.asset
def report(orders): ...


@dg.op
def extract() -> int:
    return 1


@dg.op
def load(rows: int) -> int:
    return rows


@dg.job(tags={"team": "core"})
def pipeline():
    load(extract())
