"""Definitions for the stories in the browser: what fails once, and what succeeds then."""

from __future__ import annotations

import time

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
