"""Whatever two rows can say of the same, made to differ by hand: the audit finds it, explains it, and sets it right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from pools import claims
from pools.audit import drift as of_pools
from pools.audit.books import Finding
from pools.models import Gate, Hold, Lane, LaneGate, Repair, Waiter
from runs import states
from runs.audit import drift, looking, repairs
from runs.models import Op, Run, Worker
from tests.builders import (
    ADA,
    admitted_op,
    end,
    fail,
    in_state,
    job,
    launched_run,
    op,
    pool,
    queued_run,
    running_op,
    start,
    started_run,
    the_op,
    waiting_op,
    workers,
)
from tests.invariants import check_engine

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def clean(engine, monkeypatch):
    """An engine that is to be clean afterwards, on a database that has been up for long."""
    monkeypatch.setattr(claims, "server_uptime", lambda: 3600.0)
    yield
    assert looking.look().certain == ()
    check_engine()


def found() -> list[Finding]:
    return list(looking.look().findings)


def mended(kind: str, subject: str, *words: str) -> Repair:
    """Exactly this is found, is explained in these words, and set right; then nothing is found."""
    (finding,) = found()
    assert (finding.kind, finding.subject) == (kind, subject)
    for word in words:
        assert word in finding.text
    made = repairs.repair(finding, ADA)
    assert (made.kind, made.subject, made.found, made.who) == (kind, subject, finding.text, "ada")
    assert made.evidence == dict(finding.evidence)
    assert found() == []
    return made


def as_sql(change: Callable[[], object]) -> None:
    assert change(), "nothing was changed"


# --- gates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [-1, 1, 7])
def test_a_gate_that_counts_wrong(by):
    pool("database", 9)
    running_op(op("only", pool={"database": 3}))
    gate = Gate.objects.filter(key="pool:database")
    as_sql(lambda: gate.update(in_use=F("in_use") + by, cap=20))
    mended(of_pools.USE, "gate pool:database", f"counts {3 + by} in use", "add up to 3")
    assert gate.values_list("in_use", "cap").get() == (3, 9)


def test_a_gate_that_counts_too_much_lets_in_who_waited():
    pool("database", 1)
    workers(1)
    as_sql(lambda: Gate.objects.filter(key="pool:database").update(in_use=1))
    run = started_run(job(op("only", pool="database")))
    assert the_op(run).state == states.READY
    mended(of_pools.USE, "gate pool:database")
    assert the_op(run).state == states.ADMITTED


def test_a_cap_that_stays_up():
    pool("database", 2)
    as_sql(lambda: Gate.objects.filter(key="pool:database").update(cap=5))
    mended(of_pools.USE, "gate pool:database", "a cap of 5", "2 is right")


def test_a_pools_gate_with_another_limit_than_was_set():
    pool("database", 1)
    workers(1)
    as_sql(lambda: Gate.objects.filter(key="pool:database").update(limit=0, cap=1))
    run = started_run(job(op("only", pool="database")))
    Gate.objects.filter(key="pool:database").update(cap=0)
    mended(of_pools.LIMIT, "gate pool:database", "has a limit of 0", "is set to 1")
    assert the_op(run).state == states.ADMITTED


def test_a_gate_that_is_paused_and_its_pool_is_not():
    pool("database", 1)
    as_sql(lambda: Gate.objects.filter(key="pool:database").update(paused=True))
    mended(of_pools.LIMIT, "gate pool:database", "is paused")


def test_the_run_queues_gate_with_another_limit():
    as_sql(lambda: Gate.objects.filter(key="runs").update(limit=4, cap=4))
    mended(of_pools.LIMIT, "gate runs", "has a limit of 4", "maximum is 10")


def test_more_workers_counted_than_live_send_the_last_admitted_back():
    workers(1)
    as_sql(lambda: Gate.objects.filter(key="workers:default").update(limit=2, cap=2))
    run = started_run(job(op("a"), op("b")))
    assert len(in_state(states.ADMITTED, run)) == 2
    mended(of_pools.LIMIT, "gate workers:default", "has a limit of 2", "1 worker of queue default")
    assert len(in_state(states.ADMITTED, run)) == 1


def test_a_runs_gate_with_another_limit_than_its_job_says():
    run = started_run(job(op("a"), op("b"), max_concurrent=1))
    gate = Gate.objects.filter(key=f"run:{run.pk}:ops")
    as_sql(lambda: gate.update(limit=0, cap=0))
    mended(of_pools.LIMIT, f"gate run:{run.pk}:ops", "its run's job says 1")


def test_a_gate_that_is_left_of_a_run():
    Gate.objects.create(kind="executor", key="run:77:ops", family="run:77", label="ops", limit=1, cap=1)
    mended(of_pools.LEFT, "gate run:77:ops", "is left of something")
    assert not Gate.objects.filter(key="run:77:ops").exists()


# --- holds ------------------------------------------------------------------------------------------


def hold(holder: str, key: str = "pool:database", slots: int = 1, token: int = 5, lease: float | None = 15) -> None:
    """Slots that somebody holds, counted as they should be."""
    gate = Gate.objects.get(key=key)
    now = claims.clock_time()
    until = None if lease is None else now + timedelta(seconds=lease)
    Hold.objects.create(gate=gate, holder=holder, slots=slots, token=token, since=now, lease_until=until)
    used = gate.in_use + slots
    cap = None if gate.limit is None else max(gate.limit, used)
    Gate.objects.filter(pk=gate.pk).update(in_use=used, cap=cap)


@pytest.mark.parametrize("holder", ["op:4711", "run:4711", "code:4711", "op:x"])
def test_slots_held_by_nobody(holder):
    pool("database", 1)
    workers(1)
    hold(holder)
    run = started_run(job(op("only", pool="database")))
    assert the_op(run).state == states.READY
    mended(of_pools.STUCK, holder, f"{holder} holds a slot of pool database; there is no {holder}")
    assert the_op(run).state == states.ADMITTED


def test_slots_held_by_an_op_that_has_ended():
    pool("database", 2)
    first = running_op(op("only", pool="database"))
    end(first)
    hold(f"op:{first.pk}", token=first.token or 0)
    mended(of_pools.STUCK, f"op:{first.pk}", "holds a slot of pool database; op only of run", "is success")


def test_slots_held_by_a_run_that_is_over():
    run = started_run()
    workers(1)
    end_all(run)
    hold(f"run:{run.pk}", key="runs", lease=None)
    mended(of_pools.STUCK, f"run:{run.pk}", "holds a slot of the run queue", "is success")


def end_all(run: Run) -> None:
    for op_row in in_state(states.ADMITTED, run):
        start(op_row)
        end(op_row)
    run.refresh_from_db()
    assert run.over


def test_slots_held_under_an_old_token():
    pool("database", 2)
    runs_now = running_op(op("only", pool="database"))
    Hold.objects.filter(holder=f"op:{runs_now.pk}", gate__key="pool:database").update(token=17)
    kinds = {finding.kind for finding in found()}
    assert kinds == {of_pools.STUCK, of_pools.WRONG}
    done, failed = repairs.repair_all(found(), ADA)
    assert {made.kind for made in done} == kinds
    assert not failed
    held = Hold.objects.filter(holder=f"op:{runs_now.pk}").values_list("gate__key", "token")
    assert dict(held) == {"pool:database": runs_now.token, "workers:default": runs_now.token}


def test_an_op_that_runs_without_its_slots_is_counted_in_even_past_the_limit():
    pool("database", 1)
    first = running_op(op("only", pool="database"))
    with claims.desk() as desk:
        desk.release_all(f"op:{first.pk}")
    workers(1)
    second = running_op(op("only", pool="database"))
    mended(of_pools.WRONG, f"op:{first.pk}", "is running", "holds nothing and needs 1 of pool:database")
    gate = Gate.objects.get(key="pool:database")
    assert (gate.in_use, gate.limit, gate.cap) == (2, 1, 2)
    end(second)
    end(first)
    assert Gate.objects.filter(key="pool:database").values_list("in_use", "cap").get() == (0, 1)


def test_a_run_that_holds_nothing_while_it_is_in_progress():
    run = started_run()
    with claims.desk() as desk:
        desk.release_all(f"run:{run.pk}")
    mended(of_pools.WRONG, f"run:{run.pk}", "is started", "needs 1 of runs")


def test_an_op_that_holds_more_than_it_needs():
    pool("database", 5)
    runs_now = running_op(op("only", pool="database"))
    Hold.objects.filter(holder=f"op:{runs_now.pk}", gate__key="pool:database").update(slots=2)
    Gate.objects.filter(key="pool:database").update(in_use=2)
    mended(of_pools.WRONG, f"op:{runs_now.pk}", "holds 2 of pool:database", "needs 1 of pool:database")


# --- leases -----------------------------------------------------------------------------------------


def silent_for(seconds: float, op_row: Op) -> None:
    until = claims.clock_time() - timedelta(seconds=seconds)
    as_sql(lambda: Hold.objects.filter(holder=f"op:{op_row.pk}").update(lease_until=until))


def test_a_lease_that_ran_out_long_ago_and_no_clock_saw_it():
    pool("database", 1)
    stuck = running_op(op("only", pool="database"))
    silent_for(40, stuck)
    mended(of_pools.STUCK, f"op:{stuck.pk}", "holds a slot of pool database", "is running, and its lease ran out at")
    stuck.refresh_from_db()
    assert stuck.state == states.FAILURE
    assert "lost its worker" in stuck.error


def test_a_lease_that_has_just_run_out_is_the_clocks_to_see():
    silent_for(2, running_op())
    assert found() == []


def test_leases_say_nothing_while_the_database_is_young(monkeypatch):
    """Nobody could renew while it was away: whoever lives gets the time to."""
    silent_for(40, running_op())
    monkeypatch.setattr(claims, "server_uptime", lambda: 20.0)
    assert found() == []


def test_a_lease_that_was_renewed_since_is_no_finding_any_more():
    alive = running_op()
    silent_for(40, alive)
    (finding,) = found()
    assert claims.renew([claims.Grant(f"op:{alive.pk}", alive.token or 0)], 15)
    with pytest.raises(repairs.Gone):
        repairs.repair(finding, ADA)
    alive.refresh_from_db()
    assert alive.state == states.RUNNING
    assert not Repair.objects.exists()


def test_a_worker_that_counts_as_alive_long_after_its_lease():
    (worker,) = workers(1)
    Worker.objects.update(lease_until=claims.clock_time() - timedelta(seconds=40))
    mended(drift.SILENT, f"worker {worker.name}", "counts as alive; its lease ran out")
    assert not Worker.objects.exists()


# --- lines ------------------------------------------------------------------------------------------


def test_a_waiter_whose_op_does_not_wait():
    waits = waiting_op()
    Op.objects.filter(pk=waits.pk).update(
        state=states.UP_FOR_RETRY, attempt=1, ended_at=claims.clock_time(), retry_at=claims.clock_time() + HOUR
    )
    mended(of_pools.STRAY, f"op:{waits.pk}", "stands in line; op only of run", "is up_for_retry")


@pytest.mark.parametrize("holder", ["op:4711", "run:4711", "code:4711", "run:x"])
def test_a_waiter_of_nobody(holder):
    lane = Waiter.objects.get(holder=f"op:{waiting_op().pk}").lane
    Waiter.objects.create(lane=lane, holder=holder, priority=-9, since=claims.clock_time())
    mended(of_pools.STRAY, holder, f"{holder} stands in line; there is no {holder}")


def test_an_op_that_waits_and_stands_in_no_line():
    pool("database", 1)
    waits = waiting_op(op("only", pool="database"))
    Waiter.objects.filter(holder=f"op:{waits.pk}").delete()
    mended(of_pools.MISSING, f"op:{waits.pk}", "is ready and stands in no line")
    workers(1)
    waits.refresh_from_db()
    assert waits.state == states.ADMITTED


def test_a_queued_run_that_stands_in_no_line():
    run = queued_run()
    Waiter.objects.filter(holder=f"run:{run.pk}").delete()
    mended(of_pools.MISSING, f"run:{run.pk}", "is queued and stands in no line")


def test_an_op_at_a_wrong_place_in_line():
    waits = waiting_op()
    Waiter.objects.filter(holder=f"op:{waits.pk}").update(priority=3)
    mended(of_pools.MISPLACED, f"op:{waits.pk}", "with priority 0 since", "in line with priority 3")


def test_a_run_at_a_wrong_place_in_line():
    run = queued_run()
    Waiter.objects.filter(holder=f"run:{run.pk}").update(since=run.queued_at + timedelta(seconds=3))
    mended(of_pools.MISPLACED, f"run:{run.pk}")


def test_a_line_that_waits_while_there_is_room():
    waits = waiting_op()
    lane = Waiter.objects.get(holder=f"op:{waits.pk}").lane
    Lane.objects.filter(pk=lane.pk).update(blocked_on=None, parked_at=None)
    workers(1)
    mended(of_pools.PARKED, f"lane {lane.pk}", "waits while all its gates have room")
    waits.refresh_from_db()
    assert waits.state == states.ADMITTED


def test_a_line_that_is_parked_where_there_is_room():
    pool("database", 1)
    waits = waiting_op(op("only", pool="database"))
    lane = Waiter.objects.get(holder=f"op:{waits.pk}").lane
    Lane.objects.filter(pk=lane.pk).update(blocked_on=Gate.objects.get(key="pool:database"))
    mended(of_pools.PARKED, f"lane {lane.pk}", "is parked at pool database, which has room")


def test_a_line_that_is_parked_nowhere():
    waits = waiting_op()
    lane = Waiter.objects.get(holder=f"op:{waits.pk}").lane
    Lane.objects.filter(pk=lane.pk).update(blocked_on=None)
    mended(of_pools.PARKED, f"lane {lane.pk}", "is parked nowhere")


def test_a_line_that_has_a_prospect_and_is_said_to_have_none(as_installed):
    pool("database", 1)
    workers(2)
    running_op(op("only", pool="database"))
    run = launched_run(job(op("only", pool="database")))
    assert run.state == states.QUEUED
    lane = Waiter.objects.get(holder=f"run:{run.pk}").lane
    Lane.objects.filter(pk=lane.pk).update(without_prospect=False)
    mended(of_pools.PARKED, f"lane {lane.pk}", "has no prospect, and that is not noted")


def test_a_line_that_is_found_from_other_gates():
    pool("database", 1)
    waits = waiting_op(op("only", pool="database"))
    lane = Waiter.objects.get(holder=f"op:{waits.pk}").lane
    LaneGate.objects.filter(lane=lane, gate__key="pool:database").delete()
    mended(of_pools.NAMES, f"lane {lane.pk}", "is found from other gates")
    assert LaneGate.objects.filter(lane=lane).count() == 2


def test_somebody_is_held_back_while_there_is_room():
    workers(2)
    run = started_run(job(op("a"), op("b"), max_concurrent=1))
    first = the_op(run, "a")
    start(first)
    Hold.objects.filter(holder=f"op:{first.pk}").delete()
    Gate.objects.filter(in_use__gt=0).exclude(key="runs").update(in_use=F("in_use") - 1)
    Op.objects.filter(pk=first.pk).update(state=states.SUCCESS, ended_at=claims.clock_time())
    aside = Waiter.objects.get()
    subject = f"lane {aside.lane_id} at run:{run.pk}:ops"
    mended(of_pools.ASIDE, subject, "1 in lane", f"by this run's executor (run:{run.pk}:ops), which has room: 0 of 1")
    assert the_op(run, "b").state == states.ADMITTED


def test_slots_are_kept_for_somebody_who_does_not_wait():
    pool("database", 3)
    Gate.objects.filter(key="pool:database").update(reserved=2, reserved_for="op:4711", reserved_priority=0)
    mended(of_pools.RESERVED, "gate pool:database", "keeps 2 slots for op:4711, which does not wait")


# --- runs and ops -----------------------------------------------------------------------------------


def test_a_run_whose_ops_have_all_ended():
    workers(1)
    run = started_run()
    with claims.desk() as desk:
        desk.release_all(f"op:{the_op(run).pk}")
    Op.objects.filter(run=run).update(state=states.SUCCESS, attempt=1, ended_at=claims.clock_time())
    mended(drift.UNENDED, f"run:{run.pk}", "is started, and all its ops have ended")
    run.refresh_from_db()
    assert run.state == states.SUCCESS


def test_an_op_that_is_left_in_a_run_that_is_over():
    left = waiting_op()
    now = claims.clock_time()
    Run.objects.filter(pk=left.run_id).update(state=states.CANCELED, ended_at=now, cancel_requested_at=now)
    with claims.desk() as desk:
        desk.release_all(f"run:{left.run_id}")
    mended(drift.LEFT, f"op:{left.pk}", "is ready, and its run is canceled")
    left.refresh_from_db()
    assert left.state == states.CANCELED


def test_an_op_that_waits_in_a_run_that_is_being_canceled():
    left = waiting_op()
    Run.objects.filter(pk=left.run_id).update(state=states.CANCELING, cancel_requested_at=claims.clock_time())
    mended(drift.LEFT, f"op:{left.pk}", "is ready, and its run is canceling")
    assert Run.objects.get(pk=left.run_id).state == states.CANCELED


def chain() -> Run:
    workers(1)
    run = started_run(job(op("a"), op("b", after=["a"]), op("c", after=["b"])))
    start(the_op(run, "a"))
    return run


def test_an_op_that_counts_its_upstream_wrong():
    run = chain()
    Op.objects.filter(run=run, key="b").update(waits_for=2)
    mended(drift.UPSTREAM, f"op:{the_op(run, 'b').pk}", "counts 2 upstream ops to wait for; there are 1")


def test_an_op_that_nobody_waked():
    run = chain()
    Op.objects.filter(run=run, key="b").update(waits_for=2)
    end(the_op(run, "a"))
    mended(drift.UPSTREAM, f"op:{the_op(run, 'b').pk}", "is pending, and all its upstream has succeeded")
    assert the_op(run, "b").state == states.ADMITTED


def test_an_op_that_nobody_skipped():
    run = chain()
    first = the_op(run, "a")
    with claims.desk() as desk:
        desk.release_all(f"op:{first.pk}")
    Op.objects.filter(pk=first.pk).update(state=states.FAILURE, ended_at=claims.clock_time())
    (one,) = [finding for finding in found() if finding.subject == f"op:{the_op(run, 'b').pk}"]
    assert "an upstream of it failed" in one.text
    repairs.repair(one, ADA)
    run.refresh_from_db()
    assert run.state == states.FAILURE
    assert {the_op(run, key).state for key in "bc"} == {states.SKIPPED}


def test_a_root_op_that_nobody_waked():
    run = started_run()
    Op.objects.filter(run=run).update(state=states.PENDING)
    Waiter.objects.filter(holder=f"op:{the_op(run).pk}").delete()
    mended(drift.UPSTREAM, f"op:{the_op(run).pk}", "all its upstream has succeeded")


@pytest.mark.parametrize("ago", [None, 40])
def test_a_retry_that_no_clock_began(ago):
    waits = running_op()
    fail(waits, retry_in=100)
    due = None if ago is None else claims.clock_time() - timedelta(seconds=ago)
    Op.objects.filter(pk=waits.pk).update(retry_at=due)
    mended(drift.OVERDUE, f"op:{waits.pk}", "the retry of op only of run")
    waits.refresh_from_db()
    assert waits.state == states.ADMITTED


# --- what is found is looked at again ---------------------------------------------------------------


def test_a_finding_that_has_changed_is_not_touched():
    pool("database", 3)
    gate = Gate.objects.filter(key="pool:database")
    gate.update(in_use=1)
    (finding,) = found()
    gate.update(in_use=2)
    with pytest.raises(repairs.Gone):
        repairs.repair(finding, ADA)
    assert gate.get().in_use == 2
    assert not Repair.objects.exists()
    repairs.repair_all(found(), ADA)


def test_one_that_cant_be_set_right_leaves_the_others():
    waits = waiting_op(op("only", pool="database"))
    family = {"family": "rule:9", "label": "x", "limit": None, "cap": None}
    left = Gate.objects.create(kind="run_tag", key="rule:9", **family)
    lane = Waiter.objects.get(holder=f"op:{waits.pk}").lane
    LaneGate.objects.create(lane=lane, gate=left, slots=1)
    done, failed = repairs.repair_all(found(), ADA)
    assert [made.kind for made in done] == [of_pools.NAMES, of_pools.LEFT]
    assert not failed


def test_everything_at_once_is_set_right_in_order():
    pool("database", 1)
    stuck = running_op(op("only", pool="database"))
    end(stuck)
    hold(f"op:{stuck.pk}", token=stuck.token or 0)
    Gate.objects.filter(key="pool:database").update(in_use=0)
    run = started_run(job(op("only", pool="database")))
    Waiter.objects.filter(holder=f"op:{the_op(run).pk}").delete()
    done, failed = repairs.repair_all(found(), ADA)
    assert not failed
    assert done[0].kind == of_pools.USE
    assert the_op(run).state == states.ADMITTED


def test_a_healthy_engine_has_nothing_to_find():
    pool("database", 1)
    admitted_op(op("only", pool="database"))
    waiting_op(op("only", pool="database", queue="gpu"))
    queued_run()
    assert looking.look().findings == ()
    assert looking.look().unseen == ()
