"""Granularity `run`: a run holds a slot of its pools from its start to its end, and its ops take none."""

from __future__ import annotations

import pytest

from pools import sizing
from pools.models import Pool, PoolSettings
from runs import granularity, states
from runs.granularity import InvalidGranularity, WouldDeadlock
from tests.builders import (
    ADA,
    carry_out,
    holds_of,
    in_use,
    job,
    launched_run,
    op,
    pool,
    state_of,
    states_of,
    the_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def by_run(name: str) -> None:
    granularity.set_for_pool(name, "run", ADA)


def test_a_run_holds_one_slot_however_many_ops_use_the_pool():
    workers(3)
    pool("license", 2)
    by_run("license")
    run = launched_run(job(op("a", pool="license"), op("b", pool="license"), op("c", after="a", pool="license")))
    assert in_use("pool:license") == 1
    assert states_of(run) == {"a": "admitted", "b": "admitted", "c": "pending"}
    assert "pool:license" not in holds_of(the_op(run, "a"))


def test_it_holds_the_largest_weight_that_any_op_asks_roots_or_not():
    workers(1)
    pool("license", 5)
    by_run("license")
    launched_run(job(op("a", pool="license"), op("b", after="a", pool={"license": 3})))
    assert in_use("pool:license") == 3


def test_it_gives_them_back_at_its_end_and_the_next_run_starts():
    workers(2)
    pool("license", 1)
    by_run("license")
    of = job(op("a", pool="license"), op("b", after="a"))
    first, second = launched_run(of), launched_run(of)
    assert second.state == states.QUEUED
    carry_out(the_op(first, "a"))
    second.refresh_from_db()
    assert second.state == states.QUEUED  # an op has ended, the run has not
    carry_out(the_op(first, "b"))
    second.refresh_from_db()
    assert second.state == states.STARTED
    assert in_use("pool:license") == 1


def test_a_run_is_held_back_if_any_of_its_pools_is_full():
    workers(3)
    pool("license", 1)
    pool("api", 1)
    by_run("license")
    by_run("api")
    launched_run(job(op("x", pool="license")))
    run = launched_run(job(op("free"), op("a", pool="api", after=["free"]), op("b", pool="license", after=["free"])))
    assert run.state == states.QUEUED
    assert in_use("pool:api") == 0  # all or nothing


def test_a_pool_follows_the_default_unless_it_has_its_own():
    workers(2)
    pool("a", 1)
    pool("b", 1)
    granularity.set_for_pool("b", "op", ADA)
    granularity.set_default("run", ADA)
    run = launched_run(job(op("x", pool={"a": 1, "b": 1})))
    assert run.pools_held == '["a"]'
    assert holds_of(the_op(run)) == {"pool:b": 1, "workers:default": 1}
    assert granularity.set_for_pool("b", None, ADA).granularity == ""


def test_runs_in_progress_keep_theirs_and_nothing_is_held_twice():
    workers(3)
    pool("license", 3)
    of = job(op("a", pool="license"), op("b", after="a", pool="license"))
    older = launched_run(of)
    by_run("license")
    newer = launched_run(of)
    assert in_use("pool:license") == 2  # an op of the older, the newer itself
    carry_out(the_op(older, "a"))
    assert holds_of(the_op(older, "b"))["pool:license"] == 1
    carry_out(the_op(older, "b"))
    assert in_use("pool:license") == 1
    granularity.set_for_pool("license", "op", ADA)
    carry_out(the_op(newer, "a"))
    assert in_use("pool:license") == 1  # it holds its slot to its end
    assert "pool:license" not in holds_of(the_op(newer, "b"))


def test_queued_runs_wait_by_the_new_granularity_at_once():
    workers(2)
    pool("license", 1)
    by_run("license")
    of = job(op("a", pool="license"))
    launched_run(of)
    waiting = launched_run(of)
    assert waiting.state == states.QUEUED
    granularity.set_for_pool("license", "op", ADA)
    waiting.refresh_from_db()
    assert waiting.state == states.STARTED  # its op waits for the pool instead
    assert state_of(waiting) == states.READY


def test_two_opposite_switches_are_refused_while_they_could_lock_up():
    workers(2)
    pool("a", 1)
    pool("b", 1)
    by_run("b")
    run = launched_run(job(op("x", pool={"a": 1, "b": 1}), op("y", after="x", pool="a")))
    by_run("a")  # newer runs hold both: they can't hold one and wait for the other
    with pytest.raises(WouldDeadlock, match=run.short):
        granularity.set_for_pool("b", "op", ADA)
    assert Pool.objects.get(name="b").granularity == "run"
    carry_out(the_op(run, "x"))
    carry_out(the_op(run, "y"))
    granularity.set_for_pool("b", "op", ADA)


def test_the_default_is_refused_likewise():
    workers(2)
    granularity.set_for_pool("b", "run", ADA)
    launched_run(job(op("x", pool={"a": 1, "b": 1})))
    granularity.set_default("run", ADA)
    with pytest.raises(WouldDeadlock):
        granularity.set_for_pool("b", "op", ADA)


@pytest.mark.parametrize("value", ["", "ops", 1, True, ["op"]])
def test_anything_else_is_refused_and_nothing_changes(value):
    with pytest.raises(InvalidGranularity, match="use op or run"):
        granularity.set_default(value, ADA)
    with pytest.raises(InvalidGranularity):
        granularity.set_for_pool("a", value, ADA)
    assert PoolSettings.objects.get().granularity == "op"
    assert not Pool.objects.exists()


def test_two_people_at_once():
    seen = granularity.set_default("run", ADA).version
    granularity.set_default("op", ADA)
    with pytest.raises(sizing.Conflict):
        granularity.set_default("run", ADA, version=seen)
    granularity.set_default("op", ADA, version=seen)  # the same is no conflict
