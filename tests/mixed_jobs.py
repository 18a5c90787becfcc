"""Jobs under all four controls at once. Each op writes the times of its first and last line to one file."""

from __future__ import annotations

import os
import time

import controlplane as dg


def note(context: dg.OpExecutionContext, seconds: float = 0.01) -> None:
    """Say when it began and ended, in one line each: whoever appends a line does so in one piece."""
    file = os.open(os.environ["MIXED_TIMES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for what in ("begins", "ends"):
        os.write(file, f"{context.run_id} {context.op_key} {what} {time.time()!r}\n".encode())
        if what == "begins":
            time.sleep(seconds)


narrow = dg.op(note, name="narrow", pool="database")
wide = dg.op(note, name="wide", pool={"database": 2})
calls = dg.op(note, name="calls", pool="api", tags={"kind": "heavy"})
heavy = dg.op(note, name="heavy", tags={"kind": "heavy"})
licensed = dg.op(note, name="licensed", pool="license")
light = dg.op(note, name="light")


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}))
def pooled():
    for _ in range(2):
        narrow()
    wide()


@dg.job(executor_def=dg.multiprocess_executor.configured(
    {"tag_concurrency_limits": [{"key": "kind", "value": "heavy", "limit": 1}]}
))  # fmt: skip
def tagged():
    heavy()
    calls()


@dg.job
def by_run():
    licensed()
    licensed()


@dg.job(executor_def=dg.in_process_executor)
def alone():
    light()
    light()
