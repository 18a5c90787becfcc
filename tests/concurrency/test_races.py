"""Two or three voices about the same op at the same moment: one wins, nobody waits for ever, nothing is left over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from django.db import connection

from pools import claims, sizing
from pools.claims import Grant
from pools.models import Hold, Pool, Waiter
from pools.sizing import Author, Conflict
from runs import catalog, launch, priority, recover, reexecution, run_limits, states, transitions, workforce
from runs.models import Op, Run, Worker
from runs.verdict import Verdict
from tests.builders import (
    ADA,
    due,
    fail,
    in_state,
    in_use,
    job,
    lapse,
    launched_run,
    op,
    pool,
    start,
    tag_rule,
    workers,
)
from tests.invariants import check_engine
from tests.processes import PATIENCE, in_threads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

Voice = Callable[[Op], Any]


def admitted_ops(count: int) -> list[Op]:
    """The only ops of so many runs, all admitted; each holds a slot of a pool and a worker."""
    run_limits.set_maximum(-1, ADA)
    workers(count)
    for _ in range(count):
        launched_run(job(op("only", pool="shared")))
    found = in_state(states.ADMITTED)
    assert len(found) == count
    return found


def running_ops(count: int) -> list[Op]:
    found = admitted_ops(count)
    for op_row in found:
        start(op_row)
    return found


def lapsed(ops: Sequence[Op]) -> None:
    for op_row in ops:
        lapse(op_row)


def speak(ops: Sequence[Op], *voices: Voice) -> list[tuple[Any, ...]]:
    """For each op, all voices speak at once. Returns what each was told, op by op.

    The order in which they are let go turns from op to op, so that each is the first at times.
    """
    together = threading.Barrier(len(voices))

    def loop(voice: Voice) -> list[Any]:
        told = []
        try:
            for op_row in ops:
                together.wait(PATIENCE)
                told.append(voice(op_row))
        except Exception:
            together.abort()  # or the others would wait for this one
            raise
        return told

    return list(zip(*in_threads(*(partial(loop, voice) for voice in voices)), strict=True))


def starts(op_row: Op) -> bool:
    return transitions.start(op_row.pk, op_row.token, None, 1) is not None


def completes(op_row: Op) -> bool:
    return transitions.complete(op_row.pk, op_row.token, Verdict.success())


def gives_back(op_row: Op) -> bool:
    return transitions.give_back(op_row.pk, op_row.token)


def died(op_row: Op) -> bool:
    return transitions.op_died(op_row.pk, op_row.token, "its process died")


def expires(op_row: Op) -> bool:
    with claims.desk() as desk:
        return desk.expire(transitions.op_holder(op_row.pk), op_row.token)


def cancels(op_row: Op) -> bool:
    return transitions.cancel_run(op_row.run_id, "ada")


def renews(op_row: Op) -> bool:
    return bool(claims.renew([Grant(transitions.op_holder(op_row.pk), op_row.token)], 15.0))


def now(op_row: Op) -> tuple[str, str]:
    """The state of an op and of its run, as they stand."""
    return Op.objects.values_list("state", "run__state").get(pk=op_row.pk)


# --- about one op -----------------------------------------------------------------------------------


def test_start_against_expiry_against_cancel(rounds):
    ops = admitted_ops(rounds)
    lapsed(ops)
    told = speak(ops, starts, expires, cancels)
    for op_row, (started, expired, canceled) in zip(ops, told, strict=True):
        assert canceled
        assert not (started and expired)
        if started:  # it runs until it is interrupted
            assert now(op_row) == ("running", "canceling")
            assert gives_back(op_row)
        assert now(op_row) == ("canceled", "canceled")
    assert not Hold.objects.exists()
    assert not Waiter.objects.exists()


def test_completion_against_expiry_against_cancel(rounds):
    ops = running_ops(rounds)
    lapsed(ops)
    told = speak(ops, completes, expires, cancels)
    for op_row, (completed, expired, canceled) in zip(ops, told, strict=True):
        assert completed is not expired
        op_state, run_state = now(op_row)
        if completed:
            assert (op_state, run_state) == ("success", "canceled" if canceled else "success")
        else:
            assert (op_state, run_state) == (("canceled", "canceled") if canceled else ("failure", "failure"))
    assert not Hold.objects.exists()


def test_completion_against_death_against_giving_back(rounds):
    ops = running_ops(rounds)
    told = speak(ops, completes, died, gives_back)
    assert {sum(answers) for answers in told} == {1}
    for op_row, (completed, has_died, given_back) in zip(ops, told, strict=True):
        op_state, _ = now(op_row)
        assert (op_state == "success", op_state == "failure", op_state == "admitted") == (
            completed, has_died, given_back,
        )  # fmt: skip


def test_renewal_against_expiry(rounds):
    ops = running_ops(rounds)
    lapsed(ops)
    told = speak(ops, renews, expires)
    for op_row, (renewed, expired) in zip(ops, told, strict=True):
        assert renewed is not expired
        assert now(op_row)[0] == ("running" if renewed else "failure")


def test_the_same_ticket_twice(rounds):
    ops = admitted_ops(rounds)
    assert {sum(answers) for answers in speak(ops, starts, starts)} == {1}
    assert set(Op.objects.values_list("state", "attempt")) == {("running", 1)}


def test_the_same_cancel_twice(rounds):
    ops = running_ops(rounds // 2)
    assert {sum(answers) for answers in speak(ops, cancels, cancels)} == {1}


def test_start_against_the_loss_of_its_worker(rounds):
    """The gate narrows while ops are on their way: each either runs or is back in line."""
    ops = admitted_ops(rounds // 2)
    workers_left = list(Worker.objects.values_list("id", flat=True))

    def loses_a_worker(_: Op) -> None:
        workforce.dismiss([workers_left.pop()])

    told = speak(ops, starts, loses_a_worker)
    for op_row, (started, _) in zip(ops, told, strict=True):
        assert now(op_row)[0] == ("running" if started else "ready")
    assert in_use("workers:default") == sum(started for started, _ in told)


# --- about many ops at once -------------------------------------------------------------------------


def test_the_renewal_of_a_host_against_the_ends_of_its_ops(rounds):
    """One statement renews many holds, while others give some of them back in another order."""
    ops = running_ops(rounds // 2)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE pools_hold")
    grants = [Grant(transitions.op_holder(op_row.pk), op_row.token) for op_row in ops]
    ended = threading.Event()

    def renews_all() -> int:
        count = 0
        while not ended.is_set():
            claims.renew(grants, 15.0)
            count += 1
        return count

    def ends_all() -> None:
        try:
            for n, op_row in enumerate(reversed(ops)):
                (completes, cancels, gives_back, died)[n % 4](op_row)
        finally:
            ended.set()

    renewals, _ = in_threads(renews_all, ends_all)
    assert renewals >= 1
    assert set(Op.objects.values_list("state", flat=True)) == {"success", "running", "admitted", "failure"}


def test_two_renewals_of_the_same_holds_lock_them_in_one_order(rounds):
    """Whatever plan the database makes for each: here it follows the order of the grants."""
    ops = running_ops(20)
    grants = [Grant(transitions.op_holder(op_row.pk), op_row.token) for op_row in ops]

    def renews_all(mine: Sequence[Grant]) -> set[int]:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                for plan in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "enable_bitmapscan"):
                    cursor.execute(f"SET {plan} = off")
        return {len(claims.renew(mine, 15.0)) for _ in range(rounds)}

    assert in_threads(partial(renews_all, grants), partial(renews_all, grants[::-1])) == [{20}, {20}]


def test_several_clocks_at_once_act_once():
    ops = running_ops(30)
    lapsed(ops[:10])
    for op_row in ops[10:20]:
        fail(op_row, retry_in=60)
        due(op_row)
    assert sum(in_threads(*[recover.expire_leases] * 3)) == 10
    assert sum(in_threads(*[transitions.retry_due] * 3)) == 10
    found = list(Op.objects.values_list("state", flat=True))
    assert (found.count("failure"), found.count("running"), found.count("admitted")) == (10, 10, 10)


def test_several_clocks_at_once_execute_a_run_again_once():
    workers(10)
    one_op = launch.find_job(catalog.current(), "one_op")
    for _ in range(10):
        failed = launched_run(one_op, tags={"dagster/max_retries": "3"})
        (op_row,) = in_state(states.ADMITTED, failed)
        start(op_row)
        fail(op_row)
    assert sum(in_threads(*[reexecution.retry_due] * 3)) == 10
    assert Run.objects.count() == 20
    assert Run.objects.exclude(parent=None).values("parent").distinct().count() == 10


def test_people_who_saw_the_same_execute_a_run_again_once():
    workers(1)
    failed = launched_run(launch.find_job(catalog.current(), "one_op"))
    (op_row,) = in_state(states.ADMITTED, failed)
    start(op_row)
    fail(op_row)
    failed.refresh_from_db()

    def presses(who: str, seen: int) -> str:
        try:
            reexecution.reexecute(failed, who=who, door="page", from_failure=False, seen=seen)
        except launch.NotDue:
            return "not due"
        return "made"

    for seen in (0, failed.pk + 1):
        told = in_threads(*(partial(presses, f"user{number}", seen) for number in range(5)))
        assert sorted(told) == ["made"] + ["not due"] * 4
    assert Run.objects.filter(parent=failed).count() == 2


# --- about limits -----------------------------------------------------------------------------------


def test_of_people_who_edit_at_once_one_succeeds_and_the_others_are_told():
    seen = pool("database", 100).version

    def edits(number: int) -> str:
        try:
            sizing.set_limit("database", number, Author(f"user{number}", "page"), version=seen)
        except Conflict as conflict:
            return f"told of {conflict.current}"
        return "set"

    told = in_threads(*(partial(edits, number) for number in range(1, 7)))
    limit = Pool.objects.get().limit
    assert sorted(told) == sorted(["set"] + [f"told of {limit}"] * 5)


def test_the_first_sight_of_a_pool_by_many_at_once():
    def launches(number: int) -> None:
        for n in range(4):
            launched_run(job(op("only", pool=f"new{n}")))

    run_limits.set_maximum(-1, ADA)
    workers(30)
    in_threads(*(partial(launches, number) for number in range(5)))
    assert sorted(Pool.objects.values_list("name", flat=True)) == ["new0", "new1", "new2", "new3"]
    assert [in_use(f"pool:new{n}") for n in range(4)] == [5, 5, 5, 5]


def test_a_rule_that_comes_and_goes_while_runs_are_launched_and_canceled():
    run_limits.set_maximum(5, ADA)

    def launches() -> None:
        for n in range(20):
            launched_run(tags={"team": "ab"[n % 2]})

    def edits() -> None:
        for n in range(8):
            rule = tag_rule("team", n % 3, per_value=n % 2 == 0)
            run_limits.delete_rule(rule.pk, ADA)
        tag_rule("team", 2, per_value=True)

    def cancel_some() -> None:
        for _ in range(15):
            for run_id in Run.objects.filter(state="started").values_list("id", flat=True)[:1]:
                transitions.cancel_run(run_id, "ada")

    in_threads(launches, launches, edits, cancel_some)
    check_engine()
    for run in Run.objects.exclude(state__in=states.RUN_TERMINAL):
        transitions.cancel_run(run.pk, "ada")
    assert not Hold.objects.exists()
    assert not Waiter.objects.exists()


def test_of_those_who_saw_the_same_priority_one_changes_it():
    run_limits.set_maximum(0, ADA)
    run = launched_run()
    together = threading.Barrier(4)

    def change(to: int) -> int | None:
        together.wait(PATIENCE)
        try:
            assert priority.change(run, to, seen=0) == 0
        except priority.Overtaken as error:
            return error.now
        return None

    told = in_threads(*(partial(change, to) for to in (1, 2, 3, 4)))
    run.refresh_from_db()
    assert sorted(told, key=str) == sorted([None, *[run.priority] * 3], key=str)
    assert run.priority in (1, 2, 3, 4)
