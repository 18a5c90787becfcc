"""The database refuses what must never be, whoever writes it."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError

from pools import claims
from pools.models import Change, Gate, Hold, LaneGate, Pool, PoolSettings, Waiter
from pools.rules import GateSpec
from runs.models import Op, Run, RunQueue, TagRule
from tests.builders import admitted_op, op, pool, running_op, started_run, tag_rule, waiting_op

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def refused(constraint, write):
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        write()
    assert constraint in str(error.value)


def test_use_never_exceeds_the_cap():
    pool("database", 1)
    admitted_op(op("only", pool="database"))
    gate = Gate.objects.filter(key="pool:database")
    refused("gate_use_stays_under_cap", lambda: gate.update(in_use=F("in_use") + 1))


def test_use_is_never_negative():
    pool("database", 1)
    refused("gate_use_is_never_negative", lambda: Gate.objects.filter(kind="pool").update(in_use=-1))


def test_a_cap_covers_its_limit():
    pool("database", 2)
    gate = Gate.objects.filter(kind="pool")
    refused("gate_cap_covers_limit", lambda: gate.update(cap=1))
    refused("gate_cap_covers_limit", lambda: gate.update(limit=None))


def test_a_claim_that_forgot_its_condition_is_refused():
    """Even the desk can't over-admit: a decision that counts wrong is undone as a whole."""
    pool("database", 1)
    admitted_op(op("only", pool="database"))
    waiting = waiting_op(op("only", pool="database"))
    before = (Hold.objects.count(), Waiter.objects.count())
    with pytest.raises(IntegrityError), claims.desk() as desk:
        gate_id = desk.open_gates([GateSpec("pool", "pool:database", "database")])["pool:database"]
        desk.gate(gate_id).in_use += 1
    assert (Hold.objects.count(), Waiter.objects.count()) == before
    waiting.refresh_from_db()
    assert waiting.state == "ready"


def test_a_holder_waits_once_and_holds_a_gate_once():
    waiting = waiting_op()
    waiter = Waiter.objects.get(holder=f"op:{waiting.pk}")
    waiter.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        waiter.save(force_insert=True)
    hold = Hold.objects.first()
    hold.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        hold.save(force_insert=True)


def test_holds_and_needs_are_at_least_one_slot():
    running_op()
    refused("a_hold_has_at_least_one_slot", lambda: Hold.objects.update(slots=0))
    refused("a_lane_needs_at_least_one_slot", lambda: LaneGate.objects.update(slots=0))


@pytest.mark.parametrize("limit", [-1, 100_001])
def test_pool_limits_are_in_range(limit):
    pool("database", 1)
    refused("pool_limit_in_range", lambda: Pool.objects.update(limit=limit))
    refused("default_limit_in_range", lambda: PoolSettings.objects.update(default_limit=limit))


def test_there_is_one_row_of_settings_and_one_run_queue():
    refused("there_is_one_row_of_pool_settings", lambda: PoolSettings.objects.create(pk=2))
    refused("there_is_one_run_queue", lambda: RunQueue.objects.create(pk=2))
    refused("max_concurrent_runs_in_range", lambda: RunQueue.objects.update(max_concurrent_runs=-1))


def test_a_rule_stands_once():
    for kind in ({}, {"value": "a"}, {"per_value": True}):
        rule = tag_rule("team", 1, **kind)
        with pytest.raises(IntegrityError), transaction.atomic():
            TagRule.objects.create(key=rule.key, value=rule.value, per_value=rule.per_value, limit=2)
    refused("a_rules_limit_is_never_negative", lambda: TagRule.objects.update(limit=-1))
    refused(
        "a_rule_for_a_value_is_not_per_value",
        lambda: TagRule.objects.create(key="k", value="v", per_value=True, limit=1),
    )


@pytest.mark.parametrize("state", ["lost", "", "Started"])
def test_states_are_known(state):
    started_run()
    refused("run_state_is_known", lambda: Run.objects.update(state=state))
    refused("op_state_is_known", lambda: Op.objects.update(state=state))


def test_a_run_has_an_end_exactly_when_it_is_over():
    started_run()
    refused("a_run_has_an_end_when_it_is_over", lambda: Run.objects.update(state="success"))
    refused("a_run_has_an_end_when_it_is_over", lambda: Run.objects.update(ended_at=F("queued_at")))


def test_an_op_with_slots_has_a_token():
    admitted_op()
    refused("an_op_with_slots_has_a_token", lambda: Op.objects.update(token=None))


def test_an_op_waits_for_no_less_than_nobody():
    started_run()
    refused("an_op_waits_for_no_less_than_nobody", lambda: Op.objects.update(waits_for=-1))


def test_a_gate_that_is_held_can_not_go():
    admitted_op(op("only", pool="database"))
    with pytest.raises(ProtectedError):
        Gate.objects.get(key="pool:database").delete()


def test_nobody_is_counted_past_a_limit():
    pool("database", 1)
    with pytest.raises(ValueError, match="pool:database has a limit already"), claims.desk() as desk:
        gate_id = Gate.objects.get(key="pool:database").pk
        desk.count_in(gate_id, ["run:1", "run:2"])
    assert Change.objects.count() == 1
