"""Definitions for the tests of the pages: a job with params of every basic type, and assets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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


@dg.op(pool="database")
def copy(context: dg.OpExecutionContext) -> None: ...


@dg.job(params=Params, tags={"team": "core"})
def copy_table():
    """Copies a table."""
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
