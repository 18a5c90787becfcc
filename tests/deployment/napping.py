"""Ops that take their time, for deployments that are stopped under them."""

from __future__ import annotations

import time

import controlplane as dg


@dg.op(pool="nap")
def nap(context: dg.OpExecutionContext) -> None:
    context.log.info("napping")
    time.sleep(30)


@dg.op(pool="nap")
def stubborn(context: dg.OpExecutionContext) -> None:
    """Swallows whatever it can."""
    context.log.info("napping")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            time.sleep(1)
        except BaseException:
            pass


@dg.job
def naps():
    nap()
    nap.alias("another")()


@dg.job
def stubborn_job():
    stubborn()


@dg.op
def quick() -> None: ...


@dg.job
def quick_job():
    quick()
