"""Definitions for the tests: ops that real workers run. Ops that wait do so for files in a folder."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import controlplane as dg

# --- nothing in particular --------------------------------------------------------------------------


@dg.op
def nothing() -> None: ...


@dg.job
def one_op():
    nothing()


# --- values -----------------------------------------------------------------------------------------


@dg.op
def numbers() -> list[int]:
    return [1, 2, 3]


@dg.op
def total(values) -> int:
    return sum(values)


@dg.op
def joined(context: dg.OpExecutionContext, parts, sep="-") -> str:
    context.log.info("joining %s", parts)
    return sep.join(str(part) for part in parts)


@dg.job
def sums():
    found = numbers()
    joined([total(found), total.alias("again")(found), nothing()])


@dg.asset
def base() -> dict[str, int]:
    return {"rows": 7}


@dg.asset
def derived(context: dg.AssetExecutionContext, base) -> Any:
    context.log.info("%s from %s", context.asset_key, base)
    return base["rows"] + 1


@dataclass
class Kind:
    kind: str = "json"


class Unpicklable:
    def __reduce__(self):
        raise TypeError("not this one")


VALUES = {
    "json": lambda: {"a": [1, 2.5, None, True, "ü"]},
    "none": lambda: None,
    "tuple": lambda: (1, 2),
    "keys": lambda: {1: "one"},
    "bytes": lambda: b"\x00\xff",
    "nan": lambda: float("nan"),
    "big": lambda: "x" * 70_000,
    "huge number": lambda: 10**5000,
    "set": lambda: {1, 2},
    "unpicklable": Unpicklable,
    "lambda": lambda: lambda: 0,
}


@dg.op
def gives(context: dg.OpExecutionContext) -> Any:
    return VALUES[context.params.kind]()


@dg.op
def takes(context: dg.OpExecutionContext, value) -> str:
    context.log.info("took a %s", type(value).__name__)
    return repr(type(value).__name__)


@dg.job(params=Kind)
def values():
    takes(gives())


# --- ends -------------------------------------------------------------------------------------------


@dg.op
def raises() -> None:
    raise ValueError("not today\nnor tomorrow")


@dg.op
def exits() -> None:
    sys.exit(3)


@dg.op
async def is_async() -> str:
    await asyncio.sleep(0)
    return "later"


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
def third_time(context: dg.OpExecutionContext) -> int:
    if context.attempt < 3:
        raise RuntimeError(f"attempt {context.attempt}")
    return context.retry_number


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1, delay=3600))
def later() -> None:
    raise RuntimeError("try later")


@dg.job
def ends():
    raises()
    exits()
    is_async()
    third_time()
    later()


# --- what an op says --------------------------------------------------------------------------------


@dg.op
def speaks(context: dg.OpExecutionContext) -> None:
    context.log.debug("by the context")
    context.log.warning("two\nlines")
    logging.getLogger("a.library").info("by logging")
    print("by print")
    print("to stderr", file=sys.stderr)
    os.write(1, b"by the descriptor\n")
    subprocess.run(["echo", "by a child"], check=True)
    print("no end of line", end="")


@dg.op
def says_much() -> None:
    print("x" * 9_000)
    print("nul \0 byte")
    os.write(1, b"not utf-8 \xff\n")
    for number in range(1_000):
        print(f"line {number}")


@dg.op
def floods() -> bytes:
    """Says more than a small disk takes."""
    for number in range(20_000):
        print(f"line {number} {'x' * 100}")
    return b"x" * 100_000


@dg.job
def one_floods():
    floods()


@dg.job
def talk():
    speaks()
    says_much()


@dg.op
def tells(context: dg.OpExecutionContext) -> list:
    return [
        context.job_name,
        context.op_key,
        context.attempt,
        context.tags,
        dict(context.op_tags),
        context.params.kind,
        type(context).__name__,
    ]


@dg.job(params=Kind, tags={"team": "growth"})
def about_itself():
    tells()


# --- ops that wait for files ------------------------------------------------------------------------


@dataclass
class Where:
    folder: str


def note(context: dg.OpExecutionContext, what: str) -> None:
    """Say in the folder that something happened, whole or not at all."""
    path = Path(context.params.folder) / f"{what}-{context.op_key}-{context.attempt}"
    path.with_suffix(".part").write_text(str(os.getpid()))
    path.with_suffix(".part").rename(path)


def wait_for_go(context: dg.OpExecutionContext) -> None:
    while not (Path(context.params.folder) / "go").exists():
        time.sleep(0.01)


@dg.op(pool="shared")
def waits(context: dg.OpExecutionContext) -> None:
    """Runs until it is told to go."""
    note(context, "started")
    wait_for_go(context)
    note(context, "ended")


@dg.op(pool="shared")
def reports(context: dg.OpExecutionContext) -> bytes:
    """Has something to say and something to keep, once it is told to go."""
    note(context, "started")
    wait_for_go(context)
    context.log.info("logged by attempt %s", context.attempt)
    print(f"printed by attempt {context.attempt}", flush=True)
    return b"x" * 100_000


@dg.job(params=Where)
def one_reports():
    reports()


@dg.op(pool="shared")
def sleeps(context: dg.OpExecutionContext) -> None:
    """Sleeps in one long call, and cleans up when it is interrupted."""
    note(context, "started")
    try:
        time.sleep(3600)
    finally:
        note(context, "cleaned")


@dg.op(pool="shared")
def swallows(context: dg.OpExecutionContext) -> None:
    """Swallows every Exception, as careless code does."""
    note(context, "started")
    while True:
        try:
            time.sleep(3600)
        except Exception:
            continue


@dg.op(pool="shared")
def stubborn(context: dg.OpExecutionContext) -> None:
    """Swallows whatever is raised, so that only a kill stops it."""
    note(context, "started")
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            continue


@dg.op(pool="shared", retry_policy=dg.RetryPolicy(max_retries=1))
def dies_once(context: dg.OpExecutionContext) -> None:
    """Its process is killed from outside in the first attempt."""
    note(context, "started")
    if context.attempt == 1:
        time.sleep(3600)
    wait_for_go(context)


@dg.op(pool="shared")
def quits(context: dg.OpExecutionContext) -> None:
    """Ends its process without a word, as a library may."""
    note(context, "started")
    os._exit(0)


@dg.job(params=Where)
def one_quits():
    quits()


@dg.op(pool="shared")
def has_a_child(context: dg.OpExecutionContext) -> None:
    """Waits for a process that it has started."""
    child = subprocess.Popen(["sleep", "3600"])
    (Path(context.params.folder) / "child").write_text(str(child.pid))
    note(context, "started")
    child.wait()


@dg.job(params=Where)
def one_has_a_child():
    has_a_child()


@dg.job(params=Where)
def one_waits():
    waits()


@dg.job(params=Where)
def one_sleeps():
    sleeps()


@dg.job(params=Where)
def one_swallows():
    swallows()


@dg.job(params=Where)
def one_stubborn():
    stubborn()


@dg.job(params=Where)
def one_dies_once():
    dies_once()


@dg.op(pool="shared")
def brief(context: dg.OpExecutionContext) -> int:
    return os.getpid()


@dg.job
def many_brief():
    for _ in range(6):
        brief()


# --- ops that have so much time ---------------------------------------------------------------------


@dg.op(pool="shared", timeout=0.5)
def too_slow(context: dg.OpExecutionContext) -> None:
    """Cleans up when its time is over."""
    sleeps.fn(context)


@dg.op(pool="shared", timeout=0.5)
def too_slow_and_deaf(context: dg.OpExecutionContext) -> None:
    """Swallows whatever is raised, so that only a kill stops it."""
    stubborn.fn(context)


@dg.op(timeout=0.3)
def too_slow_and_content(context: dg.OpExecutionContext) -> str:
    """Returns a value in spite of the end of its time."""
    try:
        time.sleep(3600)
    except BaseException:
        pass
    return "all is well"


@dg.op(timeout=0.3, retry_policy=dg.RetryPolicy(max_retries=1))
def too_slow_once(context: dg.OpExecutionContext) -> int:
    if context.attempt == 1:
        time.sleep(3600)
    return context.attempt


@dg.op(timeout=60)
def in_time(context: dg.OpExecutionContext) -> str:
    return context.idempotency_key


@dg.job(params=Where)
def bounded():
    too_slow()
    too_slow_and_deaf()
    too_slow_and_content()
    too_slow_once()
    in_time()


# --- runs that are executed again -------------------------------------------------------------------


@dg.op
def start_value() -> list[int]:
    return [1, 2]


@dg.op
def no_value(values) -> None: ...


@dg.op
def breaks_in_the_first_run(context: dg.OpExecutionContext, values, nothing) -> int:
    assert nothing is None
    if not context.has_tag("dagster/parent_run_id"):
        raise RuntimeError("not this time")
    return sum(values)


@dg.op
def last_value(value) -> int:
    return value + 1


@dg.job
def breaks_once():
    values = start_value()
    last_value(breaks_in_the_first_run(values, no_value(values)))


@dg.job
def one_raises():
    raises()


@dg.op
def free() -> int:
    return 1


@dg.op(pool="api")
def with_api(value) -> None: ...


@dg.job
def needs_api_last():
    with_api(free())


# --- what is kept -----------------------------------------------------------------------------------


@dg.op
def a_set() -> set[int]:
    return {1, 2}


@dg.job
def keeps_a_set():
    a_set()


@dg.asset
def kept_asset() -> int:
    return 7


kept_asset_job = dg.define_asset_job("kept_asset_job", selection=[kept_asset])


# --- processes that are kept ------------------------------------------------------------------------


@dg.op(pool="shared")
def whose_process() -> int:
    return os.getpid()


@dg.op(pool="shared", isolated=True)
def alone() -> int:
    return os.getpid()


@dg.op(pool="shared")
def leaves_a_child() -> int:
    subprocess.Popen(["sleep", "5"])
    return os.getpid()


@dg.op(pool="shared", retry_policy=dg.RetryPolicy(max_retries=1))
def fails_first(context: dg.OpExecutionContext) -> int:
    if context.attempt == 1:
        raise RuntimeError("the first time")
    return os.getpid()


@dg.job(executor_def=dg.in_process_executor)
def one_process():
    for number in range(6):
        whose_process.alias(f"op{number}")()


@dg.job(executor_def=dg.in_process_executor)
def not_one_process():
    for number, op in enumerate((whose_process, alone, whose_process, leaves_a_child, whose_process, fails_first)):
        op.alias(f"op{number}")()


@dg.job(params=Where, executor_def=dg.in_process_executor)
def brief_then_waits():
    whose_process()
    waits()
