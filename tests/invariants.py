"""What must be true of the tables after every transaction."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import Count, Sum

from pools import claims, queries, rules
from pools.models import Gate, Hold, Lane, LaneGate, Pool, PoolSettings, Waiter
from runs import admission, graph, in_force, plans, states
from runs.models import Op, Run, RunQueue, RunTag, TagRule, Worker


def check_engine() -> None:
    """Everything below."""
    check_gates()
    check_lines()
    check_explanations()
    check_limits()
    check_runs()


def check_gates() -> None:
    """No gate over its cap; use is the sum of its holds; a holder has one token, and does not wait as well."""
    held = dict(Hold.objects.values_list("gate").annotate(Sum("slots")))
    for gate in Gate.objects.all():
        assert gate.in_use == held.get(gate.pk, 0), f"{gate}: in_use {gate.in_use}, holds {held.get(gate.pk, 0)}"
        if gate.limit is None:
            assert gate.cap is None, f"{gate}: a cap without a limit"
        else:
            assert gate.cap == max(gate.limit, gate.in_use), f"{gate}: cap {gate.cap} for {gate.in_use}/{gate.limit}"
    tokens = Counter(holder for holder, _ in Hold.objects.values_list("holder", "token").distinct())
    tokens.subtract(_holders(Hold.objects.filter(token=0)))  # a rule that came later counts a run without a token
    assert all(count <= 1 for count in tokens.values()), "a holder holds under two tokens"
    both = _holders(Hold.objects.all()) & _holders(Waiter.objects.all())
    assert not both, f"both waiting and holding: {both}"


def check_lines() -> None:
    """No lane waits while all its gates have room, and nobody stands beside the line for nothing."""
    gates = {gate.pk: gate for gate in Gate.objects.all()}

    def at(gate_id: int) -> rules.Gate:
        gate = gates[gate_id]
        kept = claims.reservation(gate.reserved_for, gate.reserved, gate.reserved_priority)
        return rules.Gate(
            gate.pk, gate.kind, gate.key, gate.label, gate.limit, gate.in_use, gate.paused, reservation=kept
        )

    settings = PoolSettings.objects.get()

    def has_to_spare(gate_id: int) -> bool:
        waited = claims.waited_for([gate_id], lambda ids: None, at)[gate_id]
        return not settings.check_at_queue or at(gate_id).has_to_spare(waited, settings.run_buffer)

    in_line = dict(Waiter.objects.filter(held_by=None).values_list("lane").annotate(Count("id")))
    for lane in Lane.objects.all():
        needs = json.loads(lane.needs)
        assert sorted(needs) == sorted(
            [gate, slots] for gate, slots in LaneGate.objects.filter(lane=lane).values_list("gate", "slots")
        )
        assert not any(gates[gate_id].kind in rules.PRIVATE_KINDS for gate_id, _ in needs)
        if not in_line.get(lane.pk) or lane.dirty:
            continue
        head = Waiter.objects.filter(lane=lane, held_by=None).order_by("-priority", "since", "number")[0]
        first = rules.Candidate(head.pk, head.holder, lane.pk, head.priority, head.since, head.number)
        blocking = rules.first_blocking(tuple(map(tuple, needs)), at, first)
        prospects = tuple(map(tuple, json.loads(lane.prospects)))
        is_open = rules.is_open(prospects, has_to_spare)
        if lane.without_prospect:  # other gates may have filled since
            assert not is_open, f"lane {lane.pk} waits for a prospect and has one"
            continue
        assert blocking is not None or is_open, f"lane {lane.pk} has no prospect and does not know"
        assert blocking is not None, f"lane {lane.pk} waits while all its gates have room"
        assert lane.blocked_on_id is not None, f"lane {lane.pk} is parked nowhere"
        slots = dict(map(tuple, needs))[lane.blocked_on_id]
        parked_at = at(lane.blocked_on_id)
        assert parked_at.blocks(slots, parked_at.kept_from(first)), (
            f"lane {lane.pk} is parked at {lane.blocked_on_id}, which has room"
        )

    for waiter in Waiter.objects.exclude(held_by=None):
        private = dict(map(tuple, json.loads(waiter.private)))
        assert waiter.held_by_id in private
        if not at(waiter.held_by_id).full:
            # Somebody of the same lane and gate must be in line, to bring this one back when it leaves.
            fellows = Waiter.objects.filter(lane=waiter.lane_id, held_by=None)
            assert any(waiter.held_by_id in dict(map(tuple, json.loads(f.private))) for f in fellows), (
                f"{waiter} is held back by a gate with room and nobody will bring it back"
            )


def check_explanations() -> None:
    """Whoever stands in line is told of a shared gate without room, as the decision found; nobody waits for nothing."""
    waiters = {waiter.holder: waiter for waiter in Waiter.objects.select_related("lane")}
    for holder, told in queries.waiting(list(waiters)).items():
        waiter, blocking = waiters[holder], told.explanation.blocking
        if waiter.held_by_id is None and not waiter.lane.dirty:
            shared = any(check.gate.kind not in rules.PRIVATE_KINDS for check in blocking)
            assert shared or told.explanation.without_prospect, f"{holder}: waits for nothing"
        needs = {*map(tuple, json.loads(waiter.lane.needs)), *map(tuple, json.loads(waiter.private))}
        assert {(check.gate.id, check.slots) for check in told.explanation.checks} == needs


def check_limits() -> None:
    """Each gate has the limit that people gave it, or that the living workers are."""
    limits = {gate.key: gate for gate in Gate.objects.all()}
    assert limits[admission.RUNS].limit == RunQueue.objects.get().max_concurrent_runs
    default = PoolSettings.objects.get().default_limit
    pools = list(Pool.objects.select_related("gate"))
    for pool in pools:
        assert pool.gate.key == f"pool:{pool.name}"
        assert pool.gate.limit == (default if pool.limit is None else pool.limit), f"pool {pool}"
        assert pool.gate.paused == (pool.paused_at is not None), f"pool {pool}"
    rules_now = {admission.rule_family(rule.pk): rule for rule in TagRule.objects.all()}
    alive = dict(Worker.objects.values_list("queue").annotate(Count("id")))
    for queue in alive:
        assert f"workers:{queue}" in limits
    for key, gate in limits.items():
        if gate.kind == "pool" and key.startswith("pool:"):
            assert key in {f"pool:{pool.name}" for pool in pools}, f"{key}: a gate without its pool"
        if gate.kind == "run_tag":
            assert gate.family in rules_now, f"{key}: its rule is gone"
            rule = rules_now[gate.family]
            assert gate.limit == (rule.limit if rule.phase == in_force.FORCE else None), f"{key}: limit {gate.limit}"
        if gate.kind == "workers":
            assert gate.limit == alive.get(gate.label, 0), f"{key}: {gate.limit} for {alive.get(gate.label, 0)} workers"


def check_runs() -> None:
    """Every run and op waits for, or holds, exactly what its state says; what is over has nothing."""
    rules_now, now = in_force.rules(), in_force.granularity()
    holds: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for holder, key, slots, token in Hold.objects.values_list("holder", "gate__key", "slots", "token"):
        holds[holder][key] = (slots, token)
    waiters = {waiter.holder: waiter for waiter in Waiter.objects.select_related("lane")}
    gates = {gate.pk: gate for gate in Gate.objects.all()}
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for run_id, tag, value in RunTag.objects.values_list("run", "key", "value"):
        tags[run_id][tag] = value
    ops: dict[int, list[Op]] = defaultdict(list)
    for op in Op.objects.order_by("run", "rank"):
        ops[op.run_id].append(op)

    known: set[str] = set()
    for run in Run.objects.all():
        known.add(f"run:{run.pk}")
        plan = plans.load(run.plan_id)
        assert tags[run.pk] == run.tags, f"run {run.pk}: its tags and the tags to find it by differ"
        assert [op.key for op in ops[run.pk] if op.reused_from is None] == [spec.key for spec in plan.ops]
        held_by_run = json.loads(run.pools_held)
        granularity = (
            now if run.state == states.QUEUED else admission.Granularity("op", dict.fromkeys(held_by_run, "run"))
        )
        wanted = admission.run_needs(run.tags, plan, rules_now, granularity)
        needs = {need.gate.key: need.slots for need in wanted.needs}
        own = {key: slots for key, (slots, _) in holds[f"run:{run.pk}"].items()}
        waiter = waiters.get(f"run:{run.pk}")
        if run.state == states.QUEUED:
            assert waiter is not None, f"run {run.pk} is queued and waits nowhere"
            assert (waiter.priority, waiter.since) == (run.priority, run.queued_at)
            assert _needed(waiter, gates) == needs, f"run {run.pk} waits for {_needed(waiter, gates)}, not {needs}"
            looks_at = {frozenset(gates[gate].key for gate in group) for group in json.loads(waiter.lane.prospects)}
            assert looks_at == {frozenset(spec.key for spec in group) for group in wanted.prospects}
            assert not own, f"run {run.pk} is queued and holds {own}"
            assert {op.state for op in ops[run.pk]} == {states.PENDING}
        else:
            assert waiter is None, f"run {run.pk} is {run.state} and waits in the queue"
        if run.state in states.RUN_IN_PROGRESS:
            assert own == needs, f"run {run.pk} is {run.state} and holds {own}, not {needs}"
            assert any(op.state in states.OP_UNFINISHED for op in ops[run.pk]), f"run {run.pk} has nothing left to do"
        if run.over:
            assert not own, f"run {run.pk} is over and holds {own}"
            assert not Gate.objects.filter(family=admission.run_family(run.pk)).exists(), f"run {run.pk} left gates"
            end = graph.outcome((op.state for op in ops[run.pk]), run.cancel_requested_at is not None)
            assert run.state == end, f"run {run.pk} ended {run.state}, its ops make it {end}"
        if run.state == states.CANCELING:
            assert run.cancel_requested_at is not None
            left = {op.state for op in ops[run.pk]} & set(states.OP_UNFINISHED)
            assert left == {states.RUNNING}, f"run {run.pk} is being canceled and has ops {left}"
        for op in ops[run.pk]:
            known.add(f"op:{op.pk}")
            _check_op(run, op, plan, ops[run.pk], holds[f"op:{op.pk}"], waiters.get(f"op:{op.pk}"), gates)

    strangers = {holder for holder in (*holds, *waiters) if holds.get(holder) or holder in waiters} - known
    assert not {holder for holder in strangers if holder.partition(":")[0] in ("run", "op")}, f"nobody: {strangers}"


def _check_op(
    run: Run,
    op: Op,
    plan: graph.Plan,
    fellows: Sequence[Op],
    held: dict[str, tuple[int, int]],
    waiter: Waiter | None,
    gates: dict[int, Gate],
) -> None:
    if op.reused_from is not None:
        assert (op.state, held, waiter) == (states.SUCCESS, {}, None), f"{op} is reused, not run"
        return
    spec = plan.by_key[op.key]
    held_by_run = json.loads(run.pools_held)
    needs = {need.gate.key: need.slots for need in admission.op_needs(run.pk, plan, spec, held_by_run)}
    if op.state in states.OP_WITH_SLOTS:
        assert {key: slots for key, (slots, _) in held.items()} == needs, f"{op} is {op.state} and holds {held}"
        assert {token for _, token in held.values()} == {op.token}, f"{op}: a hold under another token"
        assert run.state in states.RUN_IN_PROGRESS, f"{op} is {op.state}, its run {run.state}"
    else:
        assert not held, f"{op} is {op.state} and holds {held}"
    if op.state == states.READY:
        assert waiter is not None, f"{op} is ready and waits nowhere"
        assert waiter.priority == run.priority + op.priority, f"{op} waits with priority {waiter.priority}"
        assert waiter.since == op.ready_at, f"{op} waits since {waiter.since}"
        assert _needed(waiter, gates) == needs, f"{op} waits for {_needed(waiter, gates)}, not {needs}"
    else:
        assert waiter is None, f"{op} is {op.state} and waits"

    upstream = [fellow.state for fellow in fellows if fellow.key in spec.upstream]
    missing = sum(state != states.SUCCESS for state in upstream)
    assert op.waits_for == missing, f"{op} waits for {op.waits_for}, {missing} have not succeeded"
    failed = any(state in (states.FAILURE, states.SKIPPED) for state in upstream)
    if op.state == states.SKIPPED:
        assert failed, f"{op} is skipped, no upstream failed"
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


def _needed(waiter: Waiter, gates: dict[int, Gate]) -> dict[str, int]:
    return {gates[gate_id].key: slots for gate_id, slots in json.loads(waiter.lane.needs) + json.loads(waiter.private)}


def _holders(found: Iterable[Hold | Waiter]) -> set[str]:
    return {row.holder for row in found}
