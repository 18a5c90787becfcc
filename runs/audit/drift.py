"""What must agree among runs, ops, workers and tickets: the comparisons. Plain Python.

What gates, lanes, waiters and holds say of the same is compared in `pools.audit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pools.audit.books import Finding
from runs import states
from runs.graph import Plan

UPSTREAM, LEFT, UNENDED, OVERDUE = "op_upstream", "op_left", "run_unended", "clock_overdue"
SILENT, GONE = "worker_silent", "worker_gone"
LOST, STRAY, UNENDING = "ticket_lost", "ticket_stray", "ticket_unending"

# Every kind of drift, in the order in which it is set right.
KINDS = {
    LEFT: "An op has something to do in a run that has not",
    UPSTREAM: "An op waits for other ops than its upstream",
    UNENDED: "A run goes on without an op",
    SILENT: "A worker counts as alive without a lease",
    GONE: "A worker counts as alive without a process",
    OVERDUE: "The clock is behind",
    LOST: "An op that was admitted has no ticket",
    STRAY: "A ticket lies on its queue for nobody",
    UNENDING: "A worker goes on with an op that is over",
}

# What is no drift, and no repair sets right: a person may want to do something about it.
HELD_BACK = "vacuum_held"
WARNINGS = {HELD_BACK: "An old transaction keeps PostgreSQL from removing dead rows"}


@dataclass(frozen=True)
class RunRow:
    """A run in progress."""

    id: int
    short: str
    state: str
    unfinished: bool  # whether any of its ops is


@dataclass(frozen=True)
class OpRow:
    """An op."""

    id: int
    run: int
    short: str  # its run's
    key: str
    state: str
    waits_for: int = 0
    run_state: str = ""

    @property
    def name(self) -> str:
        return f"op {self.key} of run {self.short}"


@dataclass(frozen=True)
class DueRow:
    """Something that the clock should have done."""

    holder: str
    what: str  # "the retry of op load of run 7f3a91c2"
    due: datetime | None  # None: it is written nowhere


@dataclass(frozen=True)
class WorkerRow:
    """A worker that is counted as alive."""

    id: int
    name: str
    queue: str
    host: str
    pid: int | None
    lease_until: datetime


@dataclass(frozen=True)
class TransactionRow:
    """A transaction that is open for long. `ends_it`: the statement that ends it."""

    name: str
    who: str
    what: str
    since: datetime
    ends_it: str


@dataclass(frozen=True)
class TicketRow:
    """A ticket that RQ has, or should have, and what its op is. `state` "": there is no such op under its token."""

    op: int
    token: int
    queue: str
    since: datetime | None
    worker: str = ""  # the worker that has taken it
    name: str = ""
    state: str = ""


# --- what must be true at every moment --------------------------------------------------------------


def unended(runs: Iterable[RunRow]) -> Iterator[Finding]:
    """A run ends with its last op, in one transaction."""
    for run in runs:
        if not run.unfinished:
            text = f"run {run.short} is {run.state}, and all its ops have ended"
            yield Finding(UNENDED, f"run:{run.id}", text, "end the run", {"run": run.short, "state": run.state})


def left(ops: Iterable[OpRow]) -> Iterator[Finding]:
    """Nothing is left to do of a run that is over; of one that is being canceled, only what runs."""
    for op in ops:
        if op.run_state in states.RUN_TERMINAL or (op.run_state == states.CANCELING and op.state != states.RUNNING):
            text = f"{op.name} is {op.state}, and its run is {op.run_state}"
            facts = {"op": op.key, "run": op.short, "state": op.state, "run_state": op.run_state}
            yield Finding(LEFT, f"op:{op.id}", text, "cancel the op", facts)


def upstream(plan: Plan, ops: Sequence[OpRow]) -> Iterator[Finding]:
    """An op of a started run that is pending waits for exactly the upstream that has not succeeded, and still can."""
    by_key = {op.key: op.state for op in ops}
    for op in ops:
        if op.state != states.PENDING:
            continue
        before = Counter(by_key[key] for key in plan.by_key[op.key].upstream if key in by_key)
        missing = before.total() - before[states.SUCCESS]
        facts = {"op": op.key, "run": op.short, "waits_for": op.waits_for, "upstream": dict(sorted(before.items()))}
        if before[states.FAILURE] or before[states.SKIPPED]:
            text, remedy = (
                "is pending, and an upstream of it failed or was skipped",
                "skip it and what is downstream of it",
            )
        elif missing == 0:
            text, remedy = "is pending, and all its upstream has succeeded", "let it wait for its slots"
        elif missing != op.waits_for:
            text, remedy = f"counts {op.waits_for} upstream ops to wait for; there are {missing}", f"count {missing}"
        else:
            continue
        yield Finding(UPSTREAM, f"op:{op.id}", f"{op.name} {text}", remedy, facts)


# --- what must be true after a while ----------------------------------------------------------------


def overdue(due: Iterable[DueRow], now: datetime, patience: timedelta) -> Iterator[Finding]:
    """The clock does each second what is due."""
    for row in due:
        if row.due is None:
            text = f"{row.what} is due at no time"
        elif row.due < now - patience:
            text = f"{row.what} was due at {row.due:%H:%M:%S}; is a clock running?"
        else:
            continue
        facts = {"holder": row.holder, "what": row.what, "due": row.due.isoformat() if row.due else None}
        yield Finding(OVERDUE, row.holder, text, "do what the clock should have done", facts)


def silent(workers: Iterable[WorkerRow], now: datetime, patience: timedelta) -> Iterator[Finding]:
    """Whose lease has run out is counted out."""
    for worker in workers:
        if worker.lease_until < now - patience:
            text = f"worker {worker.name} counts as alive; its lease ran out at {worker.lease_until:%H:%M:%S}"
            yield Finding(SILENT, f"worker {worker.name}", text, "count it out", _facts(worker))


def gone(workers: Iterable[WorkerRow]) -> Iterator[Finding]:
    """A worker of this machine whose process is not there is counted out. `workers`: those without one."""
    for worker in workers:
        text = f"worker {worker.name} counts as alive; there is no process {worker.pid} of it on {worker.host}"
        yield Finding(GONE, f"worker {worker.name}", text, "count it out, and end what it ran", _facts(worker))


def held_back(transactions: Iterable[TransactionRow]) -> Iterator[Finding]:
    """A warning: rows that died since can't be removed. `transactions`: those that have been open for too long."""
    for row in transactions:
        text = f"{row.name} of {row.who} has a transaction open since {row.since:%H:%M:%S}, and is {row.what}"
        facts = {"transaction": row.name, "who": row.who, "state": row.what, "since": row.since.isoformat()}
        yield Finding(HELD_BACK, row.name, text, f"end it, if nobody needs it: {row.ends_it}", facts)


def _facts(worker: WorkerRow) -> dict[str, object]:
    return {
        "worker": worker.id,
        "queue": worker.queue,
        "host": worker.host,
        "pid": worker.pid,
        "lease_until": worker.lease_until.isoformat(),
    }


def lost(tickets: Iterable[TicketRow]) -> Iterator[Finding]:
    """An op that was admitted has a ticket. `tickets`: those that RQ does not know, a while after they were issued."""
    for ticket in tickets:
        at = f" at {ticket.since:%H:%M:%S}" if ticket.since else ""
        text = f"{ticket.name} was admitted{at}, and has no ticket on queue {ticket.queue}"
        yield Finding(LOST, f"op:{ticket.op}", text, "issue the ticket anew", _ticket(ticket))


def stray(
    tickets: Iterable[TicketRow], free: Mapping[str, int], idle: Iterable[str], now: datetime, patience: timedelta
) -> Iterator[Finding]:
    """A ticket whose op does not wait for it is dropped by the first worker that is free; none goes on with it.

    `free`: how many workers of a queue have nothing to do; `idle`: the living workers on which no op runs. A ticket
    that a dead worker had taken is RQ's to forget.
    """
    idle = set(idle)
    for ticket in tickets:
        if ticket.state in states.OP_WITH_SLOTS or ticket.since is None or ticket.since > now - patience:
            continue
        about = f"{ticket.name} is {ticket.state}" if ticket.state else f"there is no op {ticket.op} under its token"
        if not ticket.worker and free.get(ticket.queue, 0) > 0:
            text = f"a ticket lies on queue {ticket.queue} since {ticket.since:%H:%M:%S}, and nobody takes it; {about}"
            yield Finding(STRAY, f"op:{ticket.op}", text, "take it off the queue", _ticket(ticket))
        elif ticket.worker in idle:
            text = f"worker {ticket.worker} is busy with a ticket since {ticket.since:%H:%M:%S}; {about}"
            yield Finding(UNENDING, f"op:{ticket.op}", text, "end the process in which it works", _ticket(ticket))


def _ticket(ticket: TicketRow) -> dict[str, object]:
    return {"op": ticket.op, "token": str(ticket.token), "queue": ticket.queue, "worker": ticket.worker or None}
