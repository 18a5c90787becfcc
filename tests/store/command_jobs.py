"""Definitions that the commands are tried on."""

from __future__ import annotations

from dataclasses import dataclass

import controlplane as dg

print("a module that says something while it is loaded")


@dataclass
class Size:
    rows: int
    dry: bool = False


@dg.op(pool="database")
def measure(context: dg.OpExecutionContext) -> int:
    return context.params.rows


@dg.op
def report(rows: int) -> None: ...


@dg.op(tags={"dagster/priority": 10})
def fail() -> None:
    raise ValueError("first line\nsecond line")


@dg.job(params=Size)
def sized():
    report(measure())


@dg.job(tags={"team": "core"})
def failing():
    fail()


@dg.asset(pool="database")
def orders() -> int:
    return 3


@dg.asset
def totals(orders: int) -> int:
    return orders
