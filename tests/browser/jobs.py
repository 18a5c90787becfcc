"""Definitions for the stories in the browser: what fails once, and what succeeds then."""

from __future__ import annotations

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
