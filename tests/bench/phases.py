"""Notes how long each step of an op's life takes, and how many statements it runs. For workers that are looked into.

Named among the modules with definitions, so that the workers load it; it defines nothing, and wraps the
steps instead. What it writes costs time of its own: figures that are compared come from workers without it.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from runs import execute, tickets, transitions
from runs.transitions import Attempt
from tests.bench import trace

_seconds: Counter[str] = Counter()
_statements: Counter[str] = Counter()


def _timed(owner: Any, name: str, step: str) -> None:
    call: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(call)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            _seconds[step] += time.perf_counter() - began

    setattr(owner, name, timed)


def _counted(execute_statement: Callable[..., Any], sql: str, *rest: Any) -> Any:
    _statements[sql.split()[0]] += 1
    return execute_statement(sql, *rest)


def _watched_start(*of: Any) -> Attempt | None:
    """The first op of a process; those that follow start with the end of the one before."""
    _seconds.clear()
    _statements.clear()
    with connection.execute_wrapper(_counted):
        return _start(*of)


def _watched(*of: Any, **how: Any) -> execute.Done:
    """One op: a line of steps and statements in a file beside the trace."""
    with connection.execute_wrapper(_counted):
        done: execute.Done = _attempt(*of, **how)
    line = json.dumps({"seconds": _seconds, "statements": _statements}) + "\n"
    file = os.open(os.environ[trace.VARIABLE] + ".phases", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)
    _seconds.clear()
    _statements.clear()
    return done


_timed(execute, "attempt", "op")
_attempt, _start = execute.attempt, execute.start
execute.attempt, execute.start = _watched, _watched_start
_timed(BaseDatabaseWrapper, "connect", "connect")
_timed(transitions, "start", "start")
_timed(execute, "_run", "run")
_timed(execute, "_call", "code")
_timed(transitions, "complete", "complete")
_timed(tickets, "issue", "issue")
