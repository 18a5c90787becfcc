"""The page of state: every change of a run's or an op's state, in life order. Nothing else writes one.

Each verb names the state it expects; when the row is not there any more, somebody else was first and
nothing is changed. What changes a waiting candidate, a hold or a gate happens at a desk (`pools.claims`), whose
lock comes before any row; after it come holds, then ops. `start` needs no desk: its op has its slots.
"""

from runs.transitions import mending
from runs.transitions.canceling import cancel_run, cancel_runs, stop_overdue
from runs.transitions.ending import complete, give_back, op_died, op_expired, ops_lost_workers
from runs.transitions.giving_up import give_up, op_waited_too_long, run_waited_too_long
from runs.transitions.line import Overtaken, ask_for_start, op_holder, return_admitted, run_holder, set_priority
from runs.transitions.retrying import retry_due, retry_now
from runs.transitions.saying import keep_log, note_late
from runs.transitions.starting import Attempt, Taker, admit_ops, start, start_runs

__all__ = [  # noqa: RUF022  in life order
    "run_holder",
    "op_holder",
    "ask_for_start",
    "start_runs",
    "admit_ops",
    "Attempt",
    "Taker",
    "start",
    "keep_log",
    "complete",
    "give_back",
    "op_died",
    "ops_lost_workers",
    "op_expired",
    "note_late",
    "op_waited_too_long",
    "run_waited_too_long",
    "retry_due",
    "retry_now",
    "give_up",
    "return_admitted",
    "cancel_run",
    "cancel_runs",
    "stop_overdue",
    "Overtaken",
    "set_priority",
    "mending",
]
