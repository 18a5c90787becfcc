"""The jobs that are measured. All four controls are configured, and checked for every op."""

from __future__ import annotations

import time
from typing import Any

import controlplane as dg
from tests.bench import trace

POOL = "slots"
WIDE = 1000


def _op(name: str, seconds: float) -> dg.OpDefinition:
    @dg.op(name=name, pool=POOL, tags={"kind": "bench"})
    def measured(context: dg.OpExecutionContext) -> None:
        with trace.written(f"{context.run_id}/{context.op_key}"):
            if seconds:
                time.sleep(seconds)

    return measured


def _job(name: str, op: dg.OpDefinition, ops: int, limit: int) -> Any:
    executor = dg.multiprocess_executor.configured(
        {"max_concurrent": limit, "tag_concurrency_limits": [{"key": "kind", "value": "bench", "limit": limit}]}
    )

    @dg.job(name=name, executor_def=executor, tags={"team": "bench"})
    def of_ops() -> None:
        for number in range(ops):
            op.alias(f"op_{number}")()

    return of_ops


half_seconds = _job("half_seconds", _op("half_second", 0.5), ops=10, limit=4)
_no_op = _op("no_op", 0.0)
no_ops = _job("no_ops", _no_op, ops=100, limit=WIDE)
three_no_ops = _job("three_no_ops", _no_op, ops=3, limit=WIDE)
one_no_op = _job("one_no_op", _no_op, ops=1, limit=WIDE)
seconds = _job("seconds", _op("second", 1.0), ops=41, limit=WIDE)
