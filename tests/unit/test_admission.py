"""Which gates a run and an op must pass."""

from __future__ import annotations

from pools.rules import GateSpec, Need
from runs import admission
from runs.admission import Rule
from runs.graph import OpSpec, Plan
from runs.tag_limits import TagLimit

RUNS = Need(GateSpec("runs", "runs", "runs in progress"))


def keys(needs):
    return {need.gate.key: need.slots for need in needs}


def test_every_run_needs_a_place_in_the_run_queue():
    assert admission.queue_needs({}, []) == [RUNS]


def test_a_run_needs_a_slot_of_every_rule_that_matches():
    rules = [
        Rule(1, TagLimit("team", 4, value="growth")),
        Rule(2, TagLimit("team", 5)),
        Rule(3, TagLimit("team", 6, per_value=True)),
        Rule(4, TagLimit("team", 7, value="ops")),
        Rule(5, TagLimit("other", 8)),
    ]
    assert admission.queue_needs({"team": "growth"}, rules) == [
        RUNS,
        Need(GateSpec("run_tag", "rule:1", "team=growth", 4, "rule:1")),
        Need(GateSpec("run_tag", "rule:2", "team", 5, "rule:2")),
        Need(GateSpec("run_tag", "rule:3=growth", "team=growth", 6, "rule:3")),
    ]


def test_long_values_get_gates_of_their_own_too():
    rule = Rule(1, TagLimit("k", 1, per_value=True))
    first, second = (admission.rule_gate(rule, "v" * 499 + end) for end in "ab")
    assert first.key != second.key
    assert len(first.key) <= 300
    assert len(first.label) <= 300
    assert first.label.endswith("…")


def test_an_op_needs_its_pools_a_worker_and_what_its_executor_limits():
    plan = Plan(
        (OpSpec("a", pools={"z": 1, "db": 2}, tags={"kind": "heavy"}, queue="gpu"),),
        max_concurrent=3,
        tag_limits=(TagLimit("kind", 1, value="heavy"), TagLimit("kind", 2), TagLimit("kind", 4, per_value=True)),
    )
    assert admission.op_needs(7, plan, plan.ops[0]) == [
        Need(GateSpec("pool", "pool:db", "db"), 2),
        Need(GateSpec("pool", "pool:z", "z"), 1),
        Need(GateSpec("workers", "workers:gpu", "gpu", 0)),
        Need(GateSpec("executor", "run:7:ops", "ops of this run at once", 3, "run:7")),
        Need(GateSpec("executor_tag", "run:7:tag:0=", "kind=heavy", 1, "run:7")),
        Need(GateSpec("executor_tag", "run:7:tag:1=", "kind", 2, "run:7")),
        Need(GateSpec("executor_tag", "run:7:tag:2=heavy", "kind=heavy", 4, "run:7")),
    ]


def test_an_op_without_limits_needs_only_a_worker():
    plan = Plan((OpSpec("a"),))
    assert keys(admission.op_needs(7, plan, plan.ops[0])) == {"workers:default": 1}


def test_executor_rules_that_do_not_match_are_no_gates():
    plan = Plan((OpSpec("a", tags={"kind": "light"}),), tag_limits=(TagLimit("kind", 1, value="heavy"),))
    assert keys(admission.op_needs(7, plan, plan.ops[0])) == {"workers:default": 1}


def test_two_runs_have_executor_gates_of_their_own():
    plan = Plan((OpSpec("a"),), max_concurrent=1)
    assert keys(admission.op_needs(7, plan, plan.ops[0])) != keys(admission.op_needs(8, plan, plan.ops[0]))


def test_workers_open_their_gate_themselves():
    assert admission.workers_gate("gpu").limit == 0


def test_a_runs_priority_is_its_tag_and_what_is_no_number_counts_as_0():
    assert admission.run_priority({}) == 0
    assert admission.run_priority({"dagster/priority": "-4"}) == -4
    assert admission.run_priority({"dagster/priority": "urgent"}) == 0
