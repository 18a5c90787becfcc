"""Definitions for the stories in the browser: what fails once, and what succeeds then."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

import controlplane as dg


@dg.op
def extract() -> int:
    return 1


@dg.op(retry_policy=dg.RetryPolicy(max_retries=3, delay=600))
def flaky(context: dg.OpExecutionContext, rows: int) -> int:
    if context.attempt == 1:
        raise ConnectionError("connection reset by peer")
    return rows


@dg.job
def patient():
    """Fails once and waits for ten minutes."""
    flaky(extract())


@dg.op
def load(context: dg.OpExecutionContext, rows: int) -> int:
    if not context.has_tag("dagster/parent_run_id"):
        raise RuntimeError("not this time")
    return rows


@dg.job
def breaks_once():
    """Fails, unless it is executed again."""
    load(extract())


@dg.op
def chatters(context: dg.OpExecutionContext) -> None:
    """Says a hundred lines, then one a moment for as long as it may."""
    for n in range(100):
        context.log.info("row %d is read", n)
    context.log.warning("row 7 is late")
    for n in range(600):
        context.log.info("beat %d", n)
        time.sleep(0.2)


@dg.job
def talks():
    """Says something all the time."""
    chatters()


@dataclass
class Source:
    table: str
    rows: Annotated[int, Field(ge=1, le=1000)] = 100


@dataclass
class Copying:
    source: Source
    columns: list[str] = field(default_factory=lambda: ["id", "total"])
    full: bool = False


@dg.job(params=Copying)
def copies():
    """Copies a table, or would."""
    extract()
