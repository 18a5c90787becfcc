"""What must be true of the tables after every transaction."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pools import claims, explain, rules
from pools.audit import drift
from pools.audit.books import Books
from pools.audit.reading import books_of
from pools.models import Pool, Waiter
from runs import admission, graph, in_force, plans, states
from runs.audit import looking
from runs.models import Op, Run, RunTag, Worker

Waiters = Mapping[str, Waiter]


def check_engine() -> None:
    """The audit finds nothing; and what would take it too long to look at in production is so, too."""
    books, waiters = check_audit(), all_waiters()
    check_holders(books, waiters)
    check_explanations(waiters)
    check_limits(books)
    check_runs(books, waiters)


def check_pools() -> tuple[Books, Waiters]:
    """As much of it as can be said of holders whom nobody knows. Returns what it has read."""
    books, waiters = check_lines(), all_waiters()
    check_holders(books, waiters)
    check_explanations(waiters)
    return books, waiters


def all_waiters() -> Waiters:
    """Who waits, by holder, with the lanes."""
    return {waiter.holder: waiter for waiter in Waiter.objects.select_related("lane")}


def check_audit() -> Books:
    """Gates, lanes, waiters, holds, runs and ops agree, as the audit compares them. Leases and tickets aside."""
    with claims.snapshot():
        books, says = looking.read()
        found = looking.inside(books, says)
    assert not found, "; ".join(f"{finding.kind}: {finding.text}" for finding in found)
    return books


def check_lines() -> Books:
    """Gates and lanes agree, as the audit compares them, whoever the holders are."""
    with claims.snapshot():
        books = books_of(())
    kinds = (drift.USE, drift.NAMES, drift.PARKED, drift.ASIDE)
    assert not [finding.text for finding in drift.compare(books, {}) if finding.kind in kinds]
    return books


def check_holders(books: Books, waiters: Waiters) -> None:
    """A holder has one token. A lane is of shared gates only, and a gate that holds somebody back is one of its own."""
    tokens = Counter(holder for holder, _ in {(hold.holder, hold.token) for hold in books.holds})
    tokens.subtract({hold.holder for hold in books.holds if hold.token == 0})  # a rule that came later counts a run so
    assert all(count <= 1 for count in tokens.values()), "a holder holds under two tokens"
    named = {gate_id for row in books.lanes for gate_id, _ in row.named}
    assert not [gate_id for gate_id in named if books.gates[gate_id].gate.kind in rules.PRIVATE_KINDS]
    for waiter in waiters.values():
        if waiter.held_by_id is not None:
            assert waiter.held_by_id in dict(map(tuple, json.loads(waiter.private)))


def check_explanations(waiters: Waiters) -> None:
    """Whoever stands in line is told of a shared gate without room, as the decision found; nobody waits for nothing."""
    for holder, told in explain.waiting(list(waiters)).items():
        waiter, blocking = waiters[holder], told.explanation.blocking
        if waiter.held_by_id is None and not waiter.lane.dirty:
            shared = any(check.gate.kind not in rules.PRIVATE_KINDS for check in blocking)
            assert shared or told.explanation.without_prospect, f"{holder}: waits for nothing"
        needs = {*map(tuple, json.loads(waiter.lane.needs)), *map(tuple, json.loads(waiter.private))}
        assert {(check.gate.id, check.slots) for check in told.explanation.checks} == needs


def check_limits(books: Books) -> None:
    """What has a limit has a gate. That it is the right one is for the audit to find."""
    keys = {gate_id: row.gate.key for gate_id, row in books.gates.items()}
    queues = Worker.objects.values_list("queue", flat=True)
    assert {*keys.values()} >= {admission.RUNS, *(admission.workers_gate(queue).key for queue in queues)}
    for gate_id, name in Pool.objects.values_list("gate", "name"):
        assert keys[gate_id] == f"pool:{name}"


def check_runs(books: Books, waiters: Waiters) -> None:
    """Whoever waits waits for exactly what it needs; every state follows from those beside it."""
    rules_now, now = in_force.rules(), in_force.granularity()
    gates = {gate_id: row.gate.key for gate_id, row in books.gates.items()}
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for run_id, tag, value in RunTag.objects.values_list("run", "key", "value"):
        tags[run_id][tag] = value
    ops: dict[int, list[Op]] = defaultdict(list)
    for op in Op.objects.order_by("run", "rank"):
        ops[op.run_id].append(op)

    for run in Run.objects.all():
        plan = plans.load(run.plan_id)
        assert tags[run.pk] == run.tags, f"run {run.pk}: its tags and the tags to find it by differ"
        assert [op.key for op in ops[run.pk] if op.reused_from is None] == [spec.key for spec in plan.ops]
        if run.state == states.QUEUED:
            wanted = admission.run_needs(run.tags, plan, rules_now, now)
            needs = {need.gate.key: need.slots for need in wanted.needs}
            waiter = waiters[f"run:{run.pk}"]
            assert _needed(waiter, gates) == needs, f"run {run.pk} waits for {_needed(waiter, gates)}, not {needs}"
            looks_at = {frozenset(gates[gate] for gate in group) for group in json.loads(waiter.lane.prospects)}
            assert looks_at == {frozenset(spec.key for spec in group) for group in wanted.prospects}
            assert {op.state for op in ops[run.pk]} == {states.PENDING}
        if run.over:
            end = graph.outcome((op.state for op in ops[run.pk]), run.cancel_requested_at is not None)
            if run.error and not run.cancel_requested_at:  # it waited, or took, too long: that is no op's fault
                end = states.FAILURE
            assert run.state == end, f"run {run.pk} ended {run.state}, its ops make it {end}"
        if run.state == states.CANCELING:
            assert run.cancel_requested_at is not None
        for op in ops[run.pk]:
            _check_op(run, op, plan, ops[run.pk], waiters.get(f"op:{op.pk}"), gates)


def _check_op(
    run: Run,
    op: Op,
    plan: graph.Plan,
    fellows: Sequence[Op],
    waiter: Waiter | None,
    gates: Mapping[int, str],
) -> None:
    if op.reused_from is not None:
        assert op.state == states.SUCCESS, f"{op} is reused, not run"
        return
    spec = plan.by_key[op.key]
    if op.state in states.OP_WITH_SLOTS:
        assert run.state in states.RUN_IN_PROGRESS, f"{op} is {op.state}, its run {run.state}"
    if waiter is not None:
        needs = {n.gate.key: n.slots for n in admission.op_needs(run.pk, plan, spec, json.loads(run.pools_held))}
        assert _needed(waiter, gates) == needs, f"{op} waits for {_needed(waiter, gates)}, not {needs}"

    upstream = [fellow.state for fellow in fellows if fellow.key in spec.upstream]
    missing = sum(state != states.SUCCESS for state in upstream)
    assert op.waits_for == missing, f"{op} waits for {op.waits_for}, {missing} have not succeeded"
    failed = any(state in (states.FAILURE, states.SKIPPED) for state in upstream)
    if op.state == states.SKIPPED:
        assert failed or run.error, f"{op} is skipped, no upstream failed"
    elif op.state == states.PENDING:
        assert not failed, f"{op} is pending, an upstream failed"
        assert missing or run.state == states.QUEUED, f"{op} is pending and waits for nobody"
    elif op.state != states.CANCELED:
        assert not missing, f"{op} is {op.state}, an upstream has not succeeded"
    assert (op.ended_at is not None) == (op.state in (*states.OP_TERMINAL, states.UP_FOR_RETRY)) or (
        op.state in (states.READY, states.ADMITTED) and op.attempt
    ), f"{op} is {op.state} and ended at {op.ended_at}"
    assert (op.retry_at is not None) == (op.state == states.UP_FOR_RETRY), f"{op} is {op.state}, retry {op.retry_at}"
    if op.state in (states.RUNNING, states.SUCCESS, states.FAILURE, states.UP_FOR_RETRY):
        assert op.attempt >= 1, f"{op} is {op.state} without an attempt"
    if op.state in (states.PENDING, states.SKIPPED):
        assert op.attempt == 0, f"{op} is {op.state} after {op.attempt} attempts"


def _needed(waiter: Waiter, gates: Mapping[int, str]) -> dict[str, int]:
    return {gates[gate_id]: slots for gate_id, slots in json.loads(waiter.lane.needs) + json.loads(waiter.private)}
