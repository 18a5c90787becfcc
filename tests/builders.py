"""What the tests travel with. A builder's name says how far the thing that it returns has come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import DateTimeField, F

import controlplane as dg
from pools import claims, sizing
from pools.models import Gate, Hold, Pool, Waiter
from pools.sizing import Author
from runs import execute, launch, run_limits, states, tag_limits, transitions, workforce
from runs.catalog import Job
from runs.definitions import Node
from runs.graph import in_order
from runs.models import Op, Run, TagRule, Worker
from runs.retry import RetryPolicy
from runs.tag_limits import TagLimit
from runs.transitions import Attempt
from runs.verdict import Verdict

ADA = Author("ada", "cli", "for a test")

# --- definitions ------------------------------------------------------------------------------------


def op(
    key: str,
    *,
    after: Iterable[str] = (),
    pool: str | Mapping[str, int] | None = None,
    tags: Mapping[str, Any] | None = None,
    priority: int = 0,
    retry: RetryPolicy | None = None,
    queue: str = "default",
    **bounds: Any,
) -> Node:
    """An op of a job that is yet to be made, under its step key."""
    all_tags = {**(tags or {}), **({"dagster/priority": priority} if priority else {})}
    definition = dg.op(name=key, pool=pool, tags=all_tags, retry_policy=retry, queue=queue, **bounds)(lambda: None)
    return Node(key, definition, after=tuple(after))


def job(
    *ops: Node,
    name: str = "job",
    max_concurrent: int | None = None,
    tag_rules: Iterable[Mapping[str, Any]] = (),
    tags: Mapping[str, str] | None = None,
    params: type | None = None,
) -> Job:
    """A job of these ops; without any, of one op that needs nothing."""
    nodes = {node.key: node for node in ops or (op("only"),)}
    order = in_order({key: node.upstream for key, node in nodes.items()})
    executor = dg.multiprocess_executor.configured(
        {"max_concurrent": max_concurrent, "tag_concurrency_limits": list(tag_rules)}
    )
    return Job(name, tuple(nodes[key] for key in order), executor, tags or {}, params, "", "tests")


# --- runs -------------------------------------------------------------------------------------------


def launched_run(of: Job | None = None, **how: Any) -> Run:
    """A run that was launched: it started if there was room."""
    return launch.launch(of or job(), who="ada", door="cli", **how)


def queued_run(of: Job | None = None, **how: Any) -> Run:
    """A run that waits in the run queue, which is closed for it."""
    run_limits.set_maximum(0, ADA)
    run = launched_run(of, **how)
    assert run.state == states.QUEUED
    return run


def started_run(of: Job | None = None, **how: Any) -> Run:
    """A run in progress; its root ops wait for workers, if there are none."""
    run = launched_run(of, **how)
    assert run.state == states.STARTED
    return run


# --- ops --------------------------------------------------------------------------------------------


def waiting_op(node: Node | None = None, **how: Any) -> Op:
    """The only op of a run in progress: it waits, for a worker at least."""
    op_row = the_op(started_run(job(node or op("only")), **how))
    assert op_row.state == states.READY
    return op_row


def admitted_op(node: Node | None = None, **how: Any) -> Op:
    """The only op of a run in progress: it has its slots, its worker has not started it."""
    node = node or op("only")
    workers(1, queue=node.op.queue)
    op_row = the_op(started_run(job(node), **how))
    assert op_row.state == states.ADMITTED
    return op_row


def running_op(node: Node | None = None, **how: Any) -> Op:
    """The only op of a run in progress: it runs its first attempt."""
    op_row = admitted_op(node, **how)
    start(op_row)
    return op_row


def the_op(run: Run, key: str | None = None) -> Op:
    """The op of a run under a step key, as it stands; without a key, the only one."""
    return Op.objects.get(run=run, **({"key": key} if key else {}))


def state_of(run: Run, key: str | None = None) -> str:
    """The state of an op of a run, as it stands."""
    return the_op(run, key).state


def states_of(run: Run) -> dict[str, str]:
    """The states of all ops of a run, by step key."""
    return dict(Op.objects.filter(run=run).order_by("rank").values_list("key", "state"))


def in_state(state: str, run: Run | None = None) -> list[Op]:
    """The ops in a state, of one run or of all, oldest first."""
    found = Op.objects.filter(state=state).order_by("id")
    return list(found.filter(run=run) if run else found)


# --- what happens to them ---------------------------------------------------------------------------


def start(op_row: Op, worker: Worker | None = None) -> Attempt:
    """A worker starts an admitted op."""
    op_row.refresh_from_db()
    attempt = transitions.start(op_row.pk, op_row.token or 0, worker.pk if worker else None, 4711)
    assert attempt is not None, f"{op_row} did not start: it is {op_row.state}"
    op_row.refresh_from_db()
    return attempt


def perform(op_id: int, token: int | None, worker_id: int | None = None) -> execute.Done:
    """What a ticket leads to, in this process: nothing, if it is stale."""
    started = execute.start(op_id, token or 0, worker_id)
    return execute.attempt(started) if started else execute.Done()


def end(op_row: Op, verdict: Verdict | None = None) -> None:
    """A running op ends, with success unless a verdict is given."""
    op_row.refresh_from_db()
    assert transitions.complete(op_row.pk, op_row.token or 0, verdict or Verdict.success())
    op_row.refresh_from_db()


def fail(op_row: Op, error: str = "it broke", retry_in: float | None = None) -> None:
    """A running op fails; with `retry_in`, it is tried again after so many seconds."""
    end(op_row, Verdict.failure(error, retry_in))


def carry_out(op_row: Op) -> None:
    """An admitted op is started and ends with success."""
    start(op_row)
    end(op_row)


def carry_out_all(most: int = 1000) -> list[str]:
    """Workers take and end whatever is admitted, one op at a time, until nothing is. Returns the step keys."""
    done: list[str] = []
    while admitted := in_state(states.ADMITTED):
        done.append(admitted[0].key)
        carry_out(admitted[0])
        assert len(done) <= most
    return done


def lapse(op_row: Op) -> None:
    """Nobody has renewed an op's lease for longer than it lasts."""
    changed = Hold.objects.filter(holder=transitions.op_holder(op_row.pk)).update(
        lease_until=claims.clock_time() - timedelta(seconds=1)
    )
    assert changed, f"{op_row} holds nothing"


def due(op_row: Op) -> None:
    """The delay of an op that is up for retry is over."""
    changed = Op.objects.filter(pk=op_row.pk, state=states.UP_FOR_RETRY).update(
        retry_at=claims.clock_time() - timedelta(seconds=1)
    )
    assert changed, f"{op_row} is not up for retry"


def let_pass(seconds: float) -> None:
    """Time goes by: everything was so many seconds earlier, leases aside, which somebody renews."""
    for model in (model for app in ("pools", "runs") for model in apps.get_app_config(app).get_models()):
        moments = [each.name for each in model._meta.get_fields() if isinstance(each, DateTimeField)]
        earlier = {name: F(name) - timedelta(seconds=seconds) for name in moments if name != "lease_until"}
        if earlier:
            model._default_manager.update(**earlier)
    for waiter in Waiter.objects.filter(held_by__isnull=False):
        account = json.loads(waiter.account)
        account["held"][1] -= seconds
        Waiter.objects.filter(pk=waiter.pk).update(account=json.dumps(account))


# --- limits and workers -----------------------------------------------------------------------------


def workers(count: int, queue: str = "default") -> list[Worker]:
    """So many more living workers of a queue."""
    return workforce.enlist("launcher", "host", queue, count)


def pool(name: str, limit: int) -> Pool:
    """A pool with a limit of its own."""
    return sizing.set_limit(name, limit, ADA)


def tag_rule(key: str, limit: int, value: str | None = None, per_value: bool = False) -> TagRule:
    """A tag rule of the run queue, in force."""
    return run_limits.set_rule(TagLimit(key, limit, value, per_value), ADA)


def rule(key: str, limit: int, value: Any = None) -> dict[str, Any]:
    """A tag rule in the shape of the configuration, checked."""
    entry = {"key": key, "limit": limit} | ({} if value is None else {"value": value})
    tag_limits.parse_one(entry)
    return entry


EACH = {"applyLimitPerUniqueValue": True}


def in_use(key: str) -> int:
    """How many slots of a gate are in use; 0 for a gate that is not there."""
    gate = Gate.objects.filter(key=key).first()
    return gate.in_use if gate else 0


def holds_of(op_row: Op) -> dict[str, int]:
    """The slots that an op holds, by gate."""
    found = Hold.objects.filter(holder=transitions.op_holder(op_row.pk))
    return dict(found.values_list("gate__key", "slots"))


def lease() -> float:
    """Seconds that a lease lasts."""
    return float(settings.LEASE_SECONDS)
