"""Limits within one run: the executor's maximum, and its tag limits of all three kinds."""

from __future__ import annotations

import pytest

from pools.models import Waiter
from runs import states, transitions
from tests.builders import (
    EACH,
    carry_out,
    carry_out_all,
    fail,
    in_state,
    job,
    op,
    pool,
    rule,
    start,
    started_run,
    states_of,
    the_op,
    workers,
)
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def admitted(run):
    return [row.key for row in in_state(states.ADMITTED, run)]


def tagged(*values, key="kind"):
    return [op(f"{value}{n}", tags={key: value}) for n, value in enumerate(values)]


# --- the maximum ------------------------------------------------------------------------------------


def test_at_most_so_many_ops_of_a_run_at_once():
    workers(9)
    run = started_run(job(*(op(f"op{n}") for n in range(5)), max_concurrent=2))
    assert admitted(run) == ["op0", "op1"]
    carry_out(the_op(run, "op0"))
    assert admitted(run) == ["op1", "op2"]


def test_two_runs_have_a_full_allowance_each():
    workers(9)
    limited = job(*(op(f"op{n}") for n in range(3)), max_concurrent=2)
    runs = [started_run(limited), started_run(limited)]
    assert [admitted(run) for run in runs] == [["op0", "op1"]] * 2


def test_an_op_that_waits_for_a_pool_does_not_use_it_up():
    workers(9)
    pool("database", 0)
    run = started_run(job(op("a", pool="database"), op("b", pool="database"), op("c"), max_concurrent=1))
    assert admitted(run) == ["c"]


def test_retries_give_their_place_back():
    workers(9)
    run = started_run(job(op("a"), op("b"), max_concurrent=1))
    start(the_op(run, "a"))
    fail(the_op(run, "a"), retry_in=60)
    assert states_of(run) == {"a": "up_for_retry", "b": "admitted"}


def test_a_run_at_its_maximum_does_not_stop_other_runs():
    workers(9)
    pool("database", 9)
    serial = started_run(job(*(op(f"op{n}", pool="database") for n in range(5)), max_concurrent=1), priority=5)
    other = started_run(job(op("x", pool="database")))
    assert (admitted(serial), admitted(other)) == (["op0"], ["x"])


def test_ops_beside_the_line_come_back_in_order():
    workers(9)
    run = started_run(job(op("low"), op("high", priority=2), op("mid", priority=1), max_concurrent=1))
    assert carry_out_all() == ["high", "mid", "low"]
    run.refresh_from_db()
    assert run.state == "success"


def test_many_ops_beside_the_line_all_come_back():
    workers(3)
    started_run(job(*(op(f"op{n:02}", pool="p" if n % 2 else None) for n in range(30)), max_concurrent=2))
    assert len(carry_out_all()) == 30
    assert not Waiter.objects.exists()


def test_canceling_with_ops_beside_the_line_leaves_nothing():
    workers(1)
    run = started_run(job(*(op(f"op{n}") for n in range(5)), max_concurrent=1))
    transitions.cancel_run(run.pk, "ada")
    run.refresh_from_db()
    assert run.state == "canceled"
    assert not Waiter.objects.exists()


# --- tag limits -------------------------------------------------------------------------------------


def test_one_value():
    workers(9)
    run = started_run(job(*tagged("a", "a", "b", "b"), op("free"), tag_rules=[rule("kind", 1, "a")]))
    assert admitted(run) == ["a0", "b2", "b3", "free"]


def test_any_value_together():
    workers(9)
    run = started_run(job(*tagged("a", "b", "c"), op("free"), tag_rules=[rule("kind", 2)]))
    assert admitted(run) == ["a0", "b1", "free"]


def test_each_value_on_its_own():
    workers(9)
    run = started_run(job(*tagged("a", "a", "b", "b", "c"), tag_rules=[rule("kind", 1, EACH)]))
    assert admitted(run) == ["a0", "b2", "c4"]


def test_limit_0_is_never():
    workers(9)
    run = started_run(job(*tagged("a"), op("free"), tag_rules=[rule("kind", 0)]))
    assert admitted(run) == ["free"]


def test_all_rules_that_match_must_have_room():
    workers(9)
    ops = [
        op("x1", tags={"kind": "x", "size": "big"}),
        op("x2", tags={"kind": "x", "size": "big"}),
        op("x3", tags={"kind": "x", "size": "small"}),
        op("y1", tags={"kind": "y", "size": "big"}),
        op("y2", tags={"kind": "y"}),
    ]
    run = started_run(job(*ops, tag_rules=[rule("kind", 2, EACH), rule("size", 1, "big")]))
    assert admitted(run) == ["x1", "x3", "y2"]
    carry_out(the_op(run, "x1"))
    assert admitted(run) == ["x2", "x3", "y2"]
    carry_out_all()


def test_the_maximum_and_the_tag_limits_together():
    workers(9)
    run = started_run(job(*tagged("a", "a", "b", "c"), max_concurrent=2, tag_rules=[rule("kind", 1, "a")]))
    assert admitted(run) == ["a0", "b2"]
    carry_out(the_op(run, "b2"))
    assert admitted(run) == ["a0", "c3"]
    carry_out(the_op(run, "a0"))
    assert admitted(run) == ["a1", "c3"]


def test_an_op_that_one_rule_refuses_takes_nothing_from_another():
    workers(9)
    ops = [op("refused", tags={"a": "1", "b": "1"}, priority=9), op("admissible", tags={"a": "1"})]
    run = started_run(job(*ops, max_concurrent=1, tag_rules=[rule("a", 1), rule("b", 0)]))
    assert admitted(run) == ["admissible"]


def test_a_full_tag_of_one_run_does_not_bind_another():
    workers(9)
    limited = job(*tagged("a", "a"), tag_rules=[rule("kind", 1)])
    runs = [started_run(limited), started_run(limited)]
    assert [admitted(run) for run in runs] == [["a0"], ["a0"]]


def test_op_tags_are_not_run_tags():
    workers(9)
    run = started_run(job(op("a"), tag_rules=[rule("kind", 0)], tags={"kind": "x"}))
    assert admitted(run) == ["a"]


def test_overlapping_rules_drain_completely():
    workers(4)
    ops = [op(f"op{n:02}", tags={"kind": "xyz"[n % 3], "size": "ab"[n % 2]}, pool="p") for n in range(24)]
    pool("p", 3)
    run = started_run(job(*ops, max_concurrent=3, tag_rules=[rule("kind", 1, EACH), rule("size", 2, "a")]))
    while here := in_state(states.ADMITTED):
        carry_out(here[-1])
        check_engine()
    run.refresh_from_db()
    assert run.state == "success"
