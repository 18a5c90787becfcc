"""The plan of a run: its order, who is downstream of whom, how it ends, and its text."""

from __future__ import annotations

import pytest

from runs import graph
from runs.graph import Cycle, OpSpec, Plan
from runs.retry import Backoff, Jitter, RetryPolicy
from runs.tag_limits import TagLimit


def plan(**upstream: tuple[str, ...]) -> Plan:
    return Plan(tuple(OpSpec(key, upstream=up) for key, up in upstream.items()))


def test_each_op_comes_after_all_that_it_needs_otherwise_in_the_order_given():
    assert graph.in_order({"c": ["a", "b"], "a": [], "b": ["a"], "d": []}) == ["a", "b", "c", "d"]


def test_a_long_chain_needs_no_recursion():
    keys = [f"op{n}" for n in range(5000)]
    assert graph.in_order({key: keys[n + 1 : n + 2] for n, key in enumerate(keys)}) == keys[::-1]


@pytest.mark.parametrize(
    ("upstream", "circle"),
    [
        ({"a": ["a"]}, "a -> a"),
        ({"a": ["b"], "b": ["a"]}, "a -> b -> a"),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, "a -> b -> c -> a"),
        ({"ok": [], "a": ["ok", "b"], "b": ["a"]}, "a -> b -> a"),
    ],
)
def test_a_cycle_is_named_by_its_keys(upstream, circle):
    with pytest.raises(Cycle) as error:
        graph.in_order(upstream)
    assert str(error.value) == f"depends on itself: {circle}"
    assert error.value.keys[0] == error.value.keys[-1]


def test_direct_downstream_and_all_downstream():
    diamond = plan(a=(), b=("a",), c=("a",), d=("b", "c"), e=())
    assert diamond.downstream == {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": (), "e": ()}
    assert diamond.all_downstream("a") == ("b", "c", "d")
    assert diamond.all_downstream("c") == ("d",)
    assert diamond.all_downstream("e") == ()


def test_a_plan_goes_to_text_and_back():
    full = Plan(
        (
            OpSpec("a", pools={"db": 2}, tags={"k": "v"}, priority=-3, queue="gpu"),
            OpSpec("b", asset=True, upstream=("a",), inputs={"x": "a", "many": ("a", "a")}, outside={"y": "z"}),
            OpSpec("c", retry=RetryPolicy(3, 1.5, Backoff.EXPONENTIAL, Jitter.FULL)),
            OpSpec("d", retry=RetryPolicy(1)),
        ),
        max_concurrent=2,
        tag_limits=(TagLimit("k", 1, "v"), TagLimit("k", 2, per_value=True)),
    )
    again = Plan.from_json(full.to_json())
    assert again == full
    assert again.by_key["c"].retry.backoff is Backoff.EXPONENTIAL
    assert again.digest == full.digest


def test_equal_plans_have_one_digest_and_different_ones_have_two():
    assert Plan((OpSpec("a", pools={"x": 1, "y": 2}),)).digest == Plan((OpSpec("a", pools={"y": 2, "x": 1}),)).digest
    assert plan(a=()).digest != plan(b=()).digest
    assert plan(a=(), b=("a",)).digest != plan(a=(), b=()).digest


@pytest.mark.parametrize(
    ("op_states", "cancel", "end"),
    [
        ({"success"}, False, "success"),
        ({"success", "failure", "skipped"}, False, "failure"),
        ({"success", "canceled"}, False, "canceled"),
        ({"failure", "canceled"}, False, "failure"),
        ({"success"}, True, "canceled"),
        ({"failure"}, True, "canceled"),
        (set(), False, "success"),
    ],
)
def test_what_finished_ops_make_of_their_run(op_states, cancel, end):
    assert graph.outcome(op_states, cancel) == end
