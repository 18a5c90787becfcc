"""Tokens fence: whoever comes late, or comes twice, changes nothing. Slots that were lost are given back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pools import claims
from pools.claims import Grant
from pools.models import Hold
from runs import recover, states, transitions, workforce
from runs.models import Op, OpOutput, Run
from runs.verdict import Verdict
from tests.builders import (
    admitted_op,
    end,
    holds_of,
    in_use,
    job,
    lapse,
    op,
    running_op,
    start,
    started_run,
    state_of,
    states_of,
    the_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def snapshot():
    """Every row that a late voice could change."""
    return (
        list(Op.objects.order_by("id").values()),
        list(Run.objects.order_by("id").values()),
        list(Hold.objects.order_by("id").values()),
        list(OpOutput.objects.values()),
    )


def late_voices(op_row, token):
    """Everything that a worker could say under a token. All of it must be refused."""
    assert transitions.start(op_row.pk, token, None, 1) is None
    assert not transitions.complete(op_row.pk, token, Verdict.success('{"json": "late"}'))
    assert not transitions.complete(op_row.pk, token, Verdict.failure("no", retry_in=0))
    assert not transitions.give_back(op_row.pk, token)
    assert not transitions.op_died(op_row.pk, token, "its process died")


# --- starting ---------------------------------------------------------------------------------------


def test_a_worker_that_is_not_counted_any_more_starts_nothing():
    """Its launcher stood still, and will end it: what it takes now would be the next to lose its worker."""
    op_row = admitted_op()
    (worker,) = workers(1, queue="another")
    workforce.dismiss([worker.pk])
    assert transitions.start(op_row.pk, op_row.token, worker.pk, 1) is None
    assert state_of(op_row.run) == states.ADMITTED
    start(op_row)


def test_a_ticket_starts_an_op_once():
    op_row = admitted_op()
    assert transitions.start(op_row.pk, op_row.token, None, 1) is not None
    assert transitions.start(op_row.pk, op_row.token, None, 2) is None


def test_a_start_that_is_repeated_finds_its_own_attempt_and_no_other():
    op_row = admitted_op()
    (ours, other) = (worker.pk for worker in workers(2))
    attempt = transitions.start(op_row.pk, op_row.token, ours, 1)
    assert attempt is not None
    state = list(Op.objects.values())
    assert transitions.start(op_row.pk, op_row.token, ours, 1) == attempt
    for token, worker_id, pid in ((op_row.token + 1, ours, 1), (op_row.token, other, 1), (op_row.token, ours, 2)):
        assert transitions.start(op_row.pk, token, worker_id, pid) is None
    assert transitions.start(op_row.pk, op_row.token, None, 1) is None
    assert list(Op.objects.values()) == state
    op_row.refresh_from_db()
    assert (op_row.attempt, op_row.pid) == (1, 1)


def test_a_start_renews_the_lease():
    op_row = admitted_op()
    lapse(op_row)
    start(op_row)
    assert recover.expire_leases() == 0
    until = Hold.objects.get(holder=f"op:{op_row.pk}").lease_until
    assert until > claims.clock_time() + timedelta(seconds=10)


@pytest.mark.parametrize("token", [0, 1, -5])
def test_a_wrong_token_starts_nothing(token):
    op_row = admitted_op()
    before = snapshot()
    late_voices(op_row, token)
    assert snapshot() == before


def test_an_op_that_waits_can_not_be_ended():
    op_row = admitted_op()
    before = snapshot()
    assert not transitions.complete(op_row.pk, op_row.token, Verdict.success())
    assert not transitions.give_back(op_row.pk, op_row.token)
    assert not transitions.op_died(op_row.pk, op_row.token, "no")
    assert snapshot() == before


# --- late verdicts ----------------------------------------------------------------------------------


def test_an_attempt_ends_once():
    op_row = running_op()
    end(op_row, Verdict.success('{"json": 1}'))
    before = snapshot()
    late_voices(op_row, op_row.token)
    assert snapshot() == before


def test_after_its_lease_ran_out_an_attempt_is_not_the_workers_any_more():
    workers(2)
    run = started_run(job(op("a"), op("b", after=["a"])))
    start(the_op(run, "a"))
    op_row = the_op(run, "a")
    lapse(op_row)
    assert recover.expire_leases() == 1
    assert states_of(run) == {"a": "failure", "b": "skipped"}
    before = snapshot()
    late_voices(op_row, op_row.token)
    assert snapshot() == before


def test_the_first_attempt_can_not_end_the_second():
    op_row = running_op()
    first = op_row.token
    end(op_row, Verdict.failure("no", retry_in=0))
    start(op_row)
    before = snapshot()
    late_voices(op_row, first)
    assert snapshot() == before
    assert claims.renew([Grant(f"op:{op_row.pk}", first)], 15.0) == set()
    assert claims.renew([Grant(f"op:{op_row.pk}", op_row.token)], 15.0) == {f"op:{op_row.pk}"}


def test_releasing_under_an_old_token_gives_nothing_back():
    op_row = running_op(op("only", pool="database"))
    with claims.desk() as desk:
        assert not desk.release(f"op:{op_row.pk}", op_row.token + 1)
    assert in_use("pool:database") == 1


# --- given back -------------------------------------------------------------------------------------


def test_an_interrupted_op_returns_to_its_place_and_uses_no_attempt():
    workers(1)
    runs = [started_run() for _ in range(3)]
    first = the_op(runs[0])
    since = first.ready_at
    start(first)
    token = first.token
    assert transitions.give_back(first.pk, first.token)
    first = the_op(runs[0])
    assert [state_of(run) for run in runs] == ["admitted", "ready", "ready"]
    assert (first.attempt, first.ready_at, first.pid, first.started_at) == (0, since, None, None)
    assert first.token != token
    before = snapshot()
    late_voices(first, token)
    assert snapshot() == before
    start(first)
    assert first.attempt == 1


def test_its_place_is_also_before_those_that_became_ready_together_with_it():
    workers(1)
    run = started_run(job(op("a"), op("b"), op("c")))
    first = the_op(run, "a")
    start(first)
    assert transitions.give_back(first.pk, first.token)
    assert states_of(run) == {"a": "admitted", "b": "ready", "c": "ready"}


def test_given_back_with_no_worker_left_it_waits():
    (worker,) = workers(1)
    run = started_run()
    op_row = the_op(run)
    start(op_row)
    workforce.dismiss([worker.pk])
    assert transitions.give_back(op_row.pk, op_row.token)
    op_row.refresh_from_db()
    assert (op_row.state, op_row.token) == ("ready", None)
    assert not holds_of(op_row)


# --- expiry -----------------------------------------------------------------------------------------


def test_an_op_that_was_admitted_and_never_started_returns_to_its_place():
    workers(1)
    runs = [started_run(), started_run()]
    first = the_op(runs[0])
    lapse(first)
    assert recover.expire_leases() == 1
    assert [state_of(run) for run in runs] == ["admitted", "ready"]
    again = the_op(runs[0])
    assert (again.attempt, again.ready_at) == (0, first.ready_at)
    assert again.token != first.token
    assert transitions.start(first.pk, first.token, None, 1) is None


def test_a_running_op_whose_lease_ran_out_has_failed_and_everything_is_free():
    op_row = running_op(op("only", pool="database"))
    lapse(op_row)
    assert recover.expire_leases() == 1
    op_row.refresh_from_db()
    assert (op_row.state, op_row.error) == ("failure", "lost its worker: the lease ran out")
    assert Run.objects.get().state == states.FAILURE
    assert not Hold.objects.exists()


def test_a_lease_that_was_renewed_does_not_expire():
    op_row = running_op()
    lapse(op_row)
    (found,) = claims.lapsed()
    claims.renew([found], 15.0)
    with claims.desk() as desk:
        assert not desk.expire(found.holder, found.token)
    assert state_of(op_row.run) == "running"
    assert claims.lapsed() == []


def test_expiring_twice_is_once():
    op_row = running_op()
    lapse(op_row)
    found = Grant(f"op:{op_row.pk}", op_row.token)
    for changed in (True, False):
        with claims.desk() as desk:
            assert desk.expire(found.holder, found.token) is changed


def test_runs_have_no_lease():
    started_run()
    assert Hold.objects.get(holder__startswith="run:").lease_until is None
    assert claims.lapsed() == []


def test_a_renewal_is_all_or_nothing_for_each_holder_and_names_who_is_missing():
    workers(2)
    run = started_run(job(op("a", pool="x"), op("b")))
    a, b = (start(the_op(run, key)) for key in "ab")
    end(the_op(run, "b"))
    grants = [Grant(f"op:{a.op_id}", a.token), Grant(f"op:{b.op_id}", b.token)]
    assert claims.renew(grants, 15.0) == {f"op:{a.op_id}"}
    assert claims.renew([], 15.0) == set()
