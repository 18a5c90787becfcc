"""Every verb that writes, cut off after each of its statements: nothing of it is left, and done again it does its work.

On SQLite its process is killed there; on PostgreSQL its connection is cut, as a restart of the server would do.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from pools import claims, sizing
from pools.models import Gate, Hold, Pool
from runs import catalog, granularity, launch, recover, reexecution, run_limits, states, tickets, transitions, workforce
from runs.models import LogLine, Op, OpEvent, Run, TagRule, Worker
from runs.retry import RetryPolicy
from runs.tag_limits import TagLimit
from runs.tickets import Ticket
from runs.verdict import Verdict
from tests.builders import (
    ADA,
    admitted_op,
    due,
    fail,
    in_state,
    job,
    lapse,
    launched_run,
    let_pass,
    op,
    pool,
    queued_run,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    tag_rule,
    the_op,
    waiting_op,
    workers,
)
from tests.invariants import check_audit
from tests.plugin import DATABASE
from tests.processes import Forked
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

MOST = 80  # statements of a verb


@dataclass(frozen=True)
class Verb:
    """`prepare` makes what `act` is done to; `is_done` says whether it has been."""

    prepare: Callable[[], Any]
    act: Callable[[Any], object]
    is_done: Callable[[Any], bool]


# --- what there is to cut off -----------------------------------------------------------------------


def chain() -> Op:
    """The first op of a run runs; another run waits for its slot, and a third one in the queue."""
    pool("shared", 1)
    workers(1)
    run_limits.set_maximum(2, ADA)
    run = launched_run(job(op("a", pool="shared"), op("b", after=["a"])))
    for _ in range(2):
        launched_run(job(op("only", pool="shared")))
    start(the_op(run, "a"))
    return the_op(run, "a")


def last_op() -> Op:
    """The only op of a run runs; the next run waits in the queue for the end of this one."""
    run_limits.set_maximum(1, ADA)
    running = running_op()
    launched_run(tags={"team": "core"})
    return running


def mixed_run() -> Run:
    """A run with an op in each state that it can have while it goes on."""
    workers(2)
    run = launched_run(job(op("runs"), op("admitted"), op("ready"), op("retried"), op("pending", after=["runs"])))
    first, *_ = in_state(states.ADMITTED)
    start(first)
    fail(first, retry_in=60)
    start(in_state(states.ADMITTED)[0])
    return run


def lost_op() -> Op:
    running = running_op(op("only", pool="shared", retry=RetryPolicy(max_retries=1)))
    lapse(running)
    return running


def op_of_a_worker() -> Op:
    (worker,) = workers(1)
    waiting = the_op(started_run())
    start(waiting, worker)
    return waiting


def two_ops_of_a_worker() -> Op:
    (worker,) = workers(1)
    first = the_op(started_run(job(op("a"), op("b"))), "a")
    start(first, worker)
    return first


def taker_of(op_row: Op) -> transitions.Taker:
    begun = transitions.start(op_row.pk, op_row.token or 0, op_row.worker_id, op_row.pid or 0)
    assert begun is not None
    return transitions.Taker("default", op_row.worker_id, op_row.pid or 0, begun)


def failed_once() -> Op:
    running = running_op(op("only", pool="shared", retry=RetryPolicy(max_retries=2, delay=60)))
    fail(running, retry_in=60)
    return running


def due_op() -> Op:
    op_row = failed_once()
    due(op_row)
    return op_row


def waiting_at(limit: int) -> Op:
    """One of three ops that wait for a slot of a pool, with workers for all of them."""
    pool("shared", limit)
    workers(3)
    started_run(job(*(op(name, pool="shared") for name in "abc")))
    return in_state(states.READY)[0]


def paused_pool() -> Op:
    op_row = waiting_at(0)
    sizing.pause("shared", ADA)
    pool("shared", 3)
    return op_row


def impatient_run() -> Run:
    run_limits.set_maximum(0, ADA)
    run = launched_run(job(op("a"), op("b", after=["a"])), tags={"sluice/max_wait": "60"})
    let_pass(61)
    return run


def overdue_run() -> Run:
    workers(1)
    run = started_run(job(op("a"), op("b")), tags={"dagster/max_runtime": "60"})
    start(in_state(states.ADMITTED)[0])
    let_pass(61)
    return run


def failed_run() -> Run:
    run = launch.launch(launch.find_job(catalog.current(), "one_op"), who="ada", door="cli")
    workers(1)
    start(the_op(run))
    fail(the_op(run))
    return now(run)


def queued_runs() -> Run:
    run_limits.set_maximum(0, ADA)
    for team in ("core", "growth", "core"):
        found = launched_run(tags={"team": team})
    return found


def ruled_runs() -> TagRule:
    rule = tag_rule("team", 0)
    for _ in range(2):
        launched_run(tags={"team": "core"})
    return rule


VERBS = {
    "launch": Verb(
        lambda: workers(1),
        lambda _: launched_run(job(op("a", pool="new"), op("b", after=["a"])), tags={"team": "core"}),
        lambda _: Run.objects.exists() and len(in_state(states.ADMITTED)) == 1,
    ),
    "start": Verb(
        admitted_op, lambda it: transitions.start(it.pk, it.token, None, 1), lambda it: is_now(it, "running")
    ),
    "keep_log": Verb(
        running_op,
        lambda it: transitions.keep_log(it.run_id, it.pk, it.token, 1, [(it.started_at, "INFO", "said")]),
        lambda it: LogLine.objects.filter(op=it).count() == 1,
    ),
    "complete, with a successor and somebody in line": Verb(
        chain,
        lambda it: transitions.complete(it.pk, it.token, Verdict.success('{"json": 1}')),
        lambda it: states_of(it.run)["a"] == "success" and len(in_state(states.ADMITTED)) == 1,
    ),
    "complete, with a failure": Verb(
        chain,
        lambda it: transitions.complete(it.pk, it.token, Verdict.failure("it broke")),
        lambda it: states_of(it.run) == {"a": "failure", "b": "skipped"} and now(it.run).over,
    ),
    "complete the last op": Verb(
        last_op,
        lambda it: transitions.complete(it.pk, it.token, Verdict.success()),
        lambda it: now(it.run).over and Run.objects.latest("id").state == states.STARTED,
    ),
    "launch many": Verb(
        lambda: None,
        lambda _: Run.objects.exists() or list(launch.launch_all([launch.Asked(job())] * 3, who="ada", door="cli")),
        lambda _: Run.objects.count() == 3,
    ),
    "complete, and take the next": Verb(
        two_ops_of_a_worker,
        lambda it: transitions.complete(it.pk, it.token, Verdict.success(), taker_of(it)),
        lambda it: state_of(it.run, "b") == "running",
    ),
    "give_back": Verb(chain, lambda it: transitions.give_back(it.pk, it.token), lambda it: is_now(it, "admitted")),
    "op_died": Verb(
        lost_op, lambda it: transitions.op_died(it.pk, it.token, "its process died"), lambda it: is_now(it, "admitted")
    ),
    "a lease runs out": Verb(lost_op, lambda _: recover.expire_leases(), lambda it: is_now(it, "admitted")),
    "note_late": Verb(
        failed_once,
        lambda it: transitions.note_late(it.pk, 1, "too late"),
        lambda it: OpEvent.objects.filter(op=it, text="too late").count() == 1,
    ),
    "retry_due": Verb(due_op, lambda _: transitions.retry_due(), lambda it: is_now(it, "admitted")),
    "retry_now": Verb(
        failed_once, lambda it: transitions.retry_now(it.pk, 1, "ada"), lambda it: is_now(it, "admitted")
    ),
    "give_up": Verb(failed_once, lambda it: transitions.give_up(it.pk, 1, "ada"), lambda it: now(it.run).over),
    "cancel_run": Verb(
        mixed_run,
        lambda it: transitions.cancel_run(it.pk, "ada"),
        lambda it: now(it).state == "canceling" and len(in_state("canceled")) == 4,
    ),
    "cancel_runs": Verb(
        queued_runs,
        lambda it: transitions.cancel_runs([it.pk, it.pk - 1], "ada"),
        lambda it: Run.objects.filter(state="canceled").count() == 2,
    ),
    "set_priority": Verb(queued_run, lambda it: transitions.set_priority(it.pk, 7), lambda it: now(it).priority == 7),
    "lose_patience": Verb(impatient_run, lambda _: claims.lose_patience(), lambda it: now(it).state == "failure"),
    "stop_overdue": Verb(overdue_run, lambda _: transitions.stop_overdue(), lambda it: bool(now(it).error)),
    "reexecute": Verb(
        failed_run,
        lambda it: reexecution.reexecute(it, who="ada", door="cli", from_failure=False),
        lambda it: Run.objects.filter(parent=it).count() == 1,
    ),
    "raise a limit": Verb(
        lambda: waiting_at(0),
        lambda _: sizing.set_limit("shared", 2, ADA),
        lambda _: len(in_state(states.ADMITTED)) == 2 and Pool.objects.get(name="shared").limit == 2,
    ),
    "raise the default limit": Verb(
        lambda: sizing.set_default_limit(0, ADA) and workers(1) and waiting_op(op("only", pool="new")),
        lambda _: sizing.set_default_limit(1, ADA),
        lambda it: is_now(it, "admitted"),
    ),
    "resume a pool": Verb(
        paused_pool, lambda _: sizing.resume("shared", ADA), lambda _: len(in_state(states.ADMITTED)) == 3
    ),
    "delete a pool": Verb(
        lambda: waiting_at(0),
        lambda _: Pool.objects.get(name="shared").limit is None or sizing.delete("shared", ADA),
        lambda _: len(in_state(states.ADMITTED)) == 3,
    ),
    "switch a pool's granularity": Verb(
        lambda: waiting_at(1),
        lambda _: granularity.set_for_pool("shared", "run", ADA),
        lambda _: Pool.objects.get(name="shared").granularity == "run",
    ),
    "raise the run queue's maximum": Verb(
        queued_runs,
        lambda _: run_limits.set_maximum(2, ADA),
        lambda _: Run.objects.filter(state="started").count() == 2,
    ),
    "set a tag rule": Verb(
        queued_runs,
        lambda _: run_limits.set_rule(TagLimit("team", 1, per_value=True), ADA),
        lambda _: TagRule.objects.filter(phase="force").count() == 1,
    ),
    "delete a tag rule": Verb(
        ruled_runs,
        lambda it: TagRule.objects.exists() and run_limits.delete_rule(it.pk, ADA),
        lambda _: Run.objects.filter(state="started").count() == 2,
    ),
    "enlist workers": Verb(
        waiting_op,
        lambda _: Worker.objects.exists() or workforce.enlist("launcher", "host", "default", 1),
        lambda it: is_now(it, "admitted"),
    ),
    "dismiss workers": Verb(
        admitted_op,
        lambda _: workforce.dismiss(list(Worker.objects.values_list("id", flat=True))),
        lambda it: is_now(it, "ready") and Gate.objects.get(key="workers:default").limit == 0,
    ),
    "bury workers": Verb(
        op_of_a_worker,
        lambda _: workforce.bury(list(Worker.objects.values_list("id", flat=True)), "lost its worker"),
        lambda it: is_now(it, "failure") and Gate.objects.get(key="workers:default").limit == 0,
    ),
}


def is_now(op_row: Op, state: str) -> bool:
    return state_of(op_row.run, op_row.key) == state


def now(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


# --- cutting it off ---------------------------------------------------------------------------------


def after(statement: int, what: Callable[[], None]) -> Callable[..., Any]:
    """Let something happen once so many statements have been carried out. For `connection.execute_wrapper`."""
    seen = 0

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        answer = execute(sql, params, many, context)
        seen += 1
        if seen == statement:
            what()
        return answer

    return wrapper


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process_that_dies(act: Callable[[], object], statement: int) -> bool:
    """Whether it was killed after so many statements. It was not if it had come to its end."""

    def acts() -> None:
        with connection.execute_wrapper(after(statement, die)):
            act()

    try:
        Forked(acts).result()
    except RuntimeError:
        return True
    return False


def with_a_connection_that_is_cut(act: Callable[[], object], statement: int) -> bool:
    """Whether the connection was cut after so many statements. It was not if it had come to its end."""
    connection.ensure_connection()
    backend, cuts = connection.connection.info.backend_pid, []

    def cut() -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
            cuts.append(other.execute("SELECT pg_terminate_backend(%s)", [backend]))
            is_there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
            wait_for(lambda: not other.execute(is_there, [backend]).fetchall(), "the connection stays")

    try:
        with connection.execute_wrapper(after(statement, cut)):
            act()
    except claims.AWAY:
        assert cuts
    connections.close_all()
    return bool(cuts)


# For PostgreSQL the death of a process is the end of its connection.
cut_off = in_a_process_that_dies if DATABASE == "sqlite" else with_a_connection_that_is_cut


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_that_is_cut_off_leaves_nothing_half_done(name: str) -> None:
    verb = VERBS[name]
    it = verb.prepare()
    assert not verb.is_done(it)
    cuts = 0
    while not verb.is_done(it):
        assert cuts < MOST, "it does not come to an end"
        cuts += cut_off(lambda: verb.act(it), cuts + 1)
        check_audit()
    assert cuts, "it was never cut off"


def test_a_process_that_dies_before_it_told_redis_leaves_its_tickets_to_the_clock(monkeypatch) -> None:
    """What was committed stands: the op that was admitted goes on, by a ticket that the clock issues."""
    it = chain()

    def acts() -> None:
        monkeypatch.setattr(tickets, "connection", die)
        transitions.complete(it.pk, it.token or 0, Verdict.success())

    with pytest.raises(RuntimeError, match="killed"):
        Forked(acts).result()
    (admitted,) = in_state(states.ADMITTED)
    ticket = Ticket(admitted.pk, admitted.token or 0, admitted.queue)
    assert tickets.lost([ticket]) == [ticket]
    let_pass(recover.TICKET_IS_LATE + 1)
    assert recover.reissue_lost_tickets() == 1
    assert tickets.lost([ticket]) == []
    assert Hold.objects.filter(holder=transitions.op_holder(it.pk)).count() == 0
