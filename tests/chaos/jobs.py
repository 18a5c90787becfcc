"""What runs under chaos: ops of mixed lengths, under every kind of limit, that fail, retry, print and pass values."""

from __future__ import annotations

import random
import subprocess

import controlplane as dg
from tests.chaos import trace

FIXED = 2  # slots of the pool `fixed`, whose limit is never edited
BIG = 100_000  # bytes of a value that is kept in a file

LENGTHS = (0.05, 0.05, 0.2, 0.2, 0.5, 1.0, 2.0)  # seconds


def work(context: dg.OpExecutionContext) -> random.Random:
    """Be at work for as long as chance has it, the same for each attempt."""
    chance = random.Random(context.run_id + context.op_key)
    trace.work(context.run_id, context.op_key, chance.choice(LENGTHS))
    return chance


def works(context: dg.OpExecutionContext) -> None:
    work(context)


retry = dg.RetryPolicy(max_retries=2, delay=0.3, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

fixed = dg.op(works, name="fixed", pool="fixed")
fixed_wide = dg.op(works, name="fixed_wide", pool={"fixed": 2})
narrow = dg.op(works, name="narrow", pool="database", retry_policy=retry)
wide = dg.op(works, name="wide", pool={"database": 2})
calls = dg.op(works, name="calls", pool="api", tags={"kind": "heavy"})
heavy = dg.op(works, name="heavy", tags={"kind": "heavy"}, retry_policy=retry)
licensed = dg.op(works, name="licensed", pool="license")
light = dg.op(works, name="light")


@dg.op(pool="api", retry_policy=retry)
def flaky(context: dg.OpExecutionContext) -> None:
    """Fails at first, and sometimes for good."""
    chance = work(context)
    if context.attempt == 1 or chance.random() < 0.2:
        raise RuntimeError("not this time")


@dg.op
def careless(context: dg.OpExecutionContext) -> None:
    """Swallows every Exception, prints, and starts a process."""
    try:
        context.log.info("careless")
        subprocess.run(["echo", "by a child"], check=True)
        work(context)
    except Exception:
        print("swallowed")


@dg.op
def gives(context: dg.OpExecutionContext) -> bytes:
    work(context)
    return b"x" * BIG


@dg.op(pool="database")
def takes(context: dg.OpExecutionContext, value) -> int:
    work(context)
    return len(value)


@dg.job
def few():
    fixed()
    fixed_wide()


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}))
def pooled():
    for _ in range(3):
        narrow()
    wide()


@dg.job(executor_def=dg.multiprocess_executor.configured(
    {"tag_concurrency_limits": [{"key": "kind", "value": "heavy", "limit": 1}]}
))  # fmt: skip
def tagged():
    heavy()
    calls()
    heavy()


@dg.job
def by_run():
    licensed()
    licensed()


@dg.job(executor_def=dg.in_process_executor)
def alone():
    light()
    careless()


@dg.job
def passes_on():
    takes(gives())


@dg.job
def tries():
    flaky()
    fixed()


JOBS = ("few", "pooled", "tagged", "by_run", "alone", "passes_on", "tries")
MOST_WITHIN = {"pooled": 2, "tagged": 1, "alone": 1}  # ops of one run at work at once
