"""Pools: first sight, limits that change while work is in flight, weights, and the ledger."""

from __future__ import annotations

import pytest

from pools import claims, sizing
from pools.limits import InvalidLimit
from pools.models import Change, Gate, Lane, Pool, PoolSettings, Waiter
from pools.sizing import Author, Conflict, NoSuchPool
from runs import states, transitions
from tests.builders import (
    ADA,
    admitted_op,
    carry_out,
    carry_out_all,
    end,
    fail,
    holds_of,
    in_state,
    in_use,
    job,
    op,
    pool,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    waiting_op,
    workers,
)
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def users(count, of="database"):
    """So many runs in progress with one op each that needs a slot, and workers for all of them."""
    workers(count)
    return [started_run(job(op("only", pool=of))) for _ in range(count)]


def states_now(runs):
    return [state_of(run) for run in runs]


A, R = "admitted", "ready"


# --- first sight ------------------------------------------------------------------------------------


def test_a_pool_that_nobody_limited_is_unlimited_but_counted():
    users(3)
    found = Pool.objects.get(name="database")
    assert (found.limit, found.gate.limit, found.gate.in_use) == (None, None, 3)


def test_the_default_limit_applies_from_the_first_sight():
    """Dagster's first pass treats a pool that it has never seen as unlimited: 4 queued, default 1, 4 launched."""
    sizing.set_default_limit(1, ADA)
    assert states_now(users(4)) == [A, R, R, R]


def test_a_default_of_0_blocks():
    sizing.set_default_limit(0, ADA)
    assert states_now(users(2)) == [R, R]


def test_a_limit_of_its_own_goes_before_the_default():
    sizing.set_default_limit(0, ADA)
    pool("database", 2)
    assert states_now(users(3)) == [A, A, R]


def test_one_pool_is_shared_by_all_runs():
    pool("database", 3)
    workers(9)
    runs = [started_run(job(op("a", pool="database"), op("b", pool="database"))) for _ in range(3)]
    assert len(in_state(states.ADMITTED)) == 3
    carry_out_all()
    for run in runs:
        run.refresh_from_db()
        assert run.state == "success"


@pytest.mark.parametrize("name", ["eu/db-1:x.y|z,w", "数据库", "x" * 200])
def test_any_name_without_white_space_is_a_pool(name):
    pool(name, 1)
    assert states_now(users(2, of=name)) == [A, R]


# --- changing while work is in flight ---------------------------------------------------------------


def test_raising_admits_whoever_now_fits_in_the_same_transaction():
    pool("database", 1)
    runs = users(5)
    pool("database", 4)
    assert states_now(runs) == [A, A, A, A, R]


def test_lowering_stops_nobody_and_starts_nobody_until_use_is_below():
    """Dagster: limit 3 full, lowered to 1, one ends: a waiter starts and 3 run."""
    pool("database", 3)
    runs = users(5)
    for run in runs[:3]:
        start(the_op(run))
    pool("database", 1)
    for ended, states_then in ((0, [R, R]), (1, [R, R]), (2, [A, R])):
        end(the_op(runs[ended]))
        check_engine()
        assert states_now(runs[3:]) == states_then


def test_lowering_and_raising_while_full_never_exceeds_the_larger_limit():
    pool("database", 3)
    runs = users(6)
    pool("database", 1)
    pool("database", 3)
    assert states_now(runs) == [A, A, A, R, R, R]
    pool("database", 2)
    carry_out(the_op(runs[0]))
    pool("database", 3)
    assert in_use("pool:database") == 3


def test_0_blocks_everything_new():
    pool("database", 2)
    runs = users(3)
    pool("database", 0)
    carry_out(the_op(runs[0]))
    carry_out(the_op(runs[1]))
    assert states_now(runs) == ["success", "success", R]
    pool("database", 1)
    assert state_of(runs[2]) == A


def test_pausing_keeps_the_limit_and_who_and_why():
    pool("database", 2)
    paused = sizing.pause("database", Author("bob", "page", "the vendor is down"))
    assert (paused.limit, paused.paused_by, paused.pause_reason) == (2, "bob", "the vendor is down")
    assert paused.paused_at is not None
    runs = users(3)
    assert states_now(runs) == [R, R, R]
    resumed = sizing.resume("database", ADA)
    assert (resumed.limit, resumed.paused_at, resumed.paused_by, resumed.pause_reason) == (2, None, "", "")
    assert states_now(runs) == [A, A, R]


def test_pausing_stops_nobody_who_runs():
    running = running_op(op("only", pool="database"))
    sizing.pause("database", ADA)
    end(running)
    assert running.state == "success"


def test_raising_a_paused_pool_admits_nobody():
    pool("database", 1)
    runs = users(2)
    sizing.pause("database", ADA)
    pool("database", 5)
    assert states_now(runs) == [A, R]
    sizing.resume("database", ADA)
    assert states_now(runs) == [A, A]


def test_pausing_twice_is_refused_and_resuming_twice_is_harmless():
    pool("database", 1)
    sizing.pause("database", ADA)
    with pytest.raises(sizing.AlreadyPaused, match="database is paused already by ada: for a test"):
        sizing.pause("database", Author("bob", "cli"))
    sizing.resume("database", ADA)
    version = sizing.resume("database", ADA).version
    assert version == 3 + 1
    assert Change.objects.filter(field="paused").count() == 2


def test_deleting_falls_back_to_the_default():
    sizing.set_default_limit(2, ADA)
    pool("database", 1)
    runs = users(3)
    sizing.delete("database", ADA)
    assert states_now(runs) == [A, A, R]
    left = Pool.objects.get(name="database")
    assert (left.limit, left.description, left.paused_at) == (None, "", None)


def test_deleting_falls_back_to_unlimited_without_a_default():
    pool("database", 0)
    runs = users(2)
    sizing.delete("database", ADA)
    assert states_now(runs) == [A, A]


def test_deleting_a_paused_pool_lets_waiters_in():
    pool("database", 1)
    sizing.pause("database", ADA)
    (run,) = users(1)
    sizing.delete("database", ADA)
    assert state_of(run) == A


def test_holders_stay_counted_until_they_end_and_recreating_starts_true():
    pool("database", 2)
    running = running_op(op("only", pool="database"))
    sizing.delete("database", ADA)
    assert in_use("pool:database") == 1
    pool("database", 1)
    assert states_now(users(1)) == [R]
    end(running)
    assert in_state(states.ADMITTED)


def test_an_idle_pool_is_gone_and_comes_back_true():
    pool("database", 1)
    carry_out(the_op(users(1)[0]))
    sizing.delete("database", ADA)
    assert not Pool.objects.exists()
    assert not Gate.objects.filter(kind="pool").exists()
    assert states_now(users(2)) == [A, A]
    assert in_use("pool:database") == 2


def test_a_pool_that_only_a_pending_op_names_can_be_deleted():
    workers(1)
    pool("database", 1)
    run = started_run(job(op("first"), op("then", after=["first"], pool="database")))
    sizing.delete("database", ADA)
    carry_out(the_op(run, "first"))
    assert state_of(run, "then") == A
    assert Pool.objects.get().limit is None


def test_raising_the_default_reaches_every_pool_on_it_in_the_order_of_the_line():
    sizing.set_default_limit(0, ADA)
    pool("own", 0)
    workers(2)
    low = started_run(job(op("low", pool="x")))
    high = started_run(job(op("high", pool="y")), priority=1)
    own = started_run(job(op("own", pool="own")), priority=9)
    later = started_run(job(op("later", pool="z")))
    sizing.set_default_limit(1, ADA)
    assert [state_of(run) for run in (low, high, own, later)] == [A, A, R, R]
    sizing.set_default_limit(None, ADA)
    assert Gate.objects.get(key="pool:x").limit is None
    assert Gate.objects.get(key="pool:own").limit == 0


# --- weights and several pools ----------------------------------------------------------------------


def test_an_op_takes_as_many_slots_as_it_weighs():
    pool("database", 3)
    workers(9)
    run = started_run(
        job(op("wide", pool={"database": 2}), op("wide2", pool={"database": 2}), op("one", pool="database"))
    )
    assert states_of(run) == {"wide": A, "wide2": R, "one": A}
    assert in_use("pool:database") == 3
    carry_out(the_op(run, "one"))
    assert state_of(run, "wide2") == R
    carry_out(the_op(run, "wide"))
    assert state_of(run, "wide2") == A


def test_an_op_of_several_pools_needs_room_in_each():
    pool("database", 1)
    pool("api", 0)
    workers(9)
    run = started_run(job(op("both", pool={"database": 1, "api": 2}), op("one", pool="database")))
    assert states_of(run) == {"both": R, "one": A}
    pool("api", 2)
    assert state_of(run, "both") == R
    carry_out(the_op(run, "one"))
    assert holds_of(the_op(run, "both")) == {"pool:api": 2, "pool:database": 1, "workers:default": 1}


def test_an_op_that_can_never_fit_waits_and_blocks_nobody():
    pool("database", 2)
    workers(9)
    run = started_run(job(op("never", pool={"database": 3}, priority=9), op("fits", pool="database")))
    assert states_of(run) == {"never": R, "fits": A}
    pool("database", 4)
    assert state_of(run, "never") == A


# --- slots come back --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["success", "failure", "retry", "died", "canceled", "given back"])
def test_an_attempt_frees_its_slots_however_it_ends(how):
    pool("database", 1)
    (run,) = users(1)
    start(the_op(run))
    waiting = started_run(job(op("next", pool="database")))
    op_row = the_op(run)
    if how == "success":
        end(op_row)
    elif how == "failure":
        fail(op_row)
    elif how == "retry":
        fail(op_row, retry_in=60)
    elif how == "died":
        transitions.op_died(op_row.pk, op_row.token, "gone")
    elif how == "canceled":
        transitions.cancel_run(run.pk, "ada")
        transitions.give_back(op_row.pk, op_row.token)
    else:
        transitions.give_back(op_row.pk, op_row.token)
        assert state_of(run) == A  # it returns to its place, before the other
        return
    assert state_of(waiting) == A


# --- errors, versions, the ledger -------------------------------------------------------------------


@pytest.mark.parametrize("limit", [-1, 1.5, 100_001, "many", None, True])
def test_a_wrong_limit_changes_nothing(limit):
    pool("database", 2)
    with pytest.raises(InvalidLimit):
        sizing.set_limit("database", limit, ADA)
    assert Pool.objects.get().limit == 2
    assert Change.objects.count() == 1


@pytest.mark.parametrize("name", ["", "data base", None, "x" * 201])
def test_a_wrong_name_makes_no_pool(name):
    with pytest.raises(InvalidLimit):
        sizing.set_limit(name, 1, ADA)
    assert not Pool.objects.exists()


@pytest.mark.parametrize("limit", [-1, 1.5, 100_001, "many", True])
def test_a_wrong_default_changes_nothing(limit):
    with pytest.raises(InvalidLimit, match="default_limit"):
        sizing.set_default_limit(limit, ADA)
    assert PoolSettings.objects.get().default_limit is None


@pytest.mark.parametrize("verb", [sizing.pause, sizing.resume, sizing.delete])
def test_what_is_not_there_is_named(verb):
    with pytest.raises(NoSuchPool, match="There is no pool 'nowhere'"):
        verb("nowhere", ADA)
    with pytest.raises(NoSuchPool):
        sizing.describe("nowhere", "x", ADA)


def test_every_change_is_recorded_with_who_from_to_why_and_door():
    sizing.set_limit("database", 2, Author("bob", "page", " it is slow "))
    sizing.set_limit("database", 3, ADA)
    sizing.describe("database", " the main one ", ADA)
    sizing.pause("database", ADA)
    sizing.resume("database", ADA)
    sizing.set_default_limit(7, ADA)
    sizing.delete("database", ADA)
    found = list(Change.objects.order_by("id").values_list("subject", "field", "before", "after"))
    assert found == [
        ("pool:database", "limit", "none", "2"),
        ("pool:database", "limit", "2", "3"),
        ("pool:database", "description", "", "the main one"),
        ("pool:database", "paused", "no", "yes"),
        ("pool:database", "paused", "yes", "no"),
        ("pools", "default_limit", "none", "7"),
        ("pool:database", "deleted", "3", ""),
    ]
    first = Change.objects.earliest("id")
    assert (first.who, first.door, first.why) == ("bob", "page", "it is slow")


def test_setting_the_same_changes_nothing():
    version = pool("database", 2).version
    assert pool("database", 2).version == version
    sizing.set_default_limit(None, ADA)
    sizing.describe("database", "", ADA)
    assert Change.objects.count() == 1


def test_who_looked_before_somebody_elses_change_is_told():
    seen = pool("database", 2).version
    sizing.set_limit("database", 5, Author("bob", "page"))
    with pytest.raises(Conflict) as conflict:
        sizing.set_limit("database", 3, ADA, version=seen)
    assert str(conflict.value) == "pool:database was changed since you looked: it is 5 now."
    assert conflict.value.change.who == "bob"
    assert Pool.objects.get().limit == 5
    assert sizing.set_limit("database", 5, ADA, version=seen).limit == 5
    assert sizing.set_limit("database", 3, ADA, version=conflict.value.version).limit == 3


def test_the_default_has_a_version_as_well():
    seen = sizing.set_default_limit(2, ADA).version
    sizing.set_default_limit(None, ADA)
    with pytest.raises(Conflict, match="it is none now"):
        sizing.set_default_limit(3, ADA, version=seen)
    assert sizing.set_default_limit(None, ADA, version=seen).default_limit is None


def test_a_long_description_is_cut():
    pool("database", 1)
    assert sizing.describe("database", "x" * 600, ADA).description == "x" * 500


# --- housekeeping -----------------------------------------------------------------------------------


def test_lanes_in_which_nobody_waits_are_swept():
    for n in range(5):
        carry_out(admitted_op(op("only", pool=f"pool{n}")))
    waiting = waiting_op(op("only", queue="nobody"))
    kept = Waiter.objects.get(holder=f"op:{waiting.pk}").lane_id
    assert claims.sweep() >= 5
    assert list(Lane.objects.values_list("id", flat=True)) == [kept]
    assert claims.sweep() == 0
