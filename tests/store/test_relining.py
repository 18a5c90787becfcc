"""A rule, or a granularity, that changes over a long queue: runs move in short transactions, and none slips through."""

from __future__ import annotations

import json

import pytest

from pools.models import Gate, Waiter
from runs import granularity, recover, relining, run_limits, states
from runs.models import Relining, Run, TagRule
from runs.tag_limits import TagLimit
from tests.builders import ADA, carry_out, in_use, job, launched_run, op, pool, tag_rule, the_op, workers
from tests.invariants import check_audit, check_limits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

GROWTH = TagLimit("team", 1, value="growth")


@pytest.fixture
def small_steps(monkeypatch):
    """Two runs are moved in a transaction, and whoever begins a relining dies after its first one."""
    monkeypatch.setattr(relining, "BATCH", 2)
    finish = relining.finish
    monkeypatch.setattr(run_limits.relining, "finish", lambda *_: 0)
    return finish


def queued(count: int, **tags: str) -> list[Run]:
    run_limits.set_maximum(0, ADA)
    return [launched_run(tags=tags) for _ in range(count)]


def in_progress() -> int:
    return Run.objects.filter(state__in=states.RUN_IN_PROGRESS).count()


def test_a_rule_over_a_long_queue_is_in_force_when_it_returns(monkeypatch):
    monkeypatch.setattr(relining, "BATCH", 3)
    queued(10, team="growth")
    assert run_limits.set_rule(GROWTH, ADA).phase == "force"
    assert not Relining.objects.exists()
    run_limits.set_maximum(-1, ADA)
    assert in_progress() == 1


def test_in_between_it_counts_and_limits_nothing(small_steps):
    workers(1)
    runs = queued(5, team="growth")
    rule = tag_rule("team", 1, value="growth")
    assert rule.phase == "entering"
    assert Relining.objects.get().after == runs[1].pk
    run_limits.set_maximum(4, ADA)
    assert in_progress() == 4  # whichever lane they waited in
    assert in_use(f"rule:{rule.pk}") == 4
    check_limits(check_audit())
    assert small_steps() >= 1
    rule.refresh_from_db()
    assert rule.phase == "force"
    assert Gate.objects.get(key=f"rule:{rule.pk}").limit == 1
    for run in Run.objects.filter(state=states.STARTED).order_by("id")[:3]:
        carry_out(the_op(run))
    assert in_progress() == 1  # nobody new starts until use is below the limit


def test_launches_in_between_use_it_at_once(small_steps):
    queued(4, team="growth")
    rule = tag_rule("team", 1, value="growth")
    late = launched_run(tags={"team": "growth"})
    lane = Waiter.objects.select_related("lane").get(holder=f"run:{late.pk}").lane
    gate = Gate.objects.get(key=f"rule:{rule.pk}")
    assert gate.pk in [gate_id for gate_id, _ in json.loads(lane.needs)]
    small_steps()


def test_each_value_has_its_own_count_in_between(small_steps):
    run_limits.set_maximum(0, ADA)
    for number in range(6):
        launched_run(tags={"team": f"t{number % 3}"})
    tag_rule("team", 1, per_value=True)
    run_limits.set_maximum(-1, ADA)
    assert in_progress() == 6
    small_steps()
    assert sorted(Gate.objects.filter(kind="run_tag").values_list("label", "in_use", "limit")) == [
        ("team=t0", 2, 1),
        ("team=t1", 2, 1),
        ("team=t2", 2, 1),
    ]


def test_the_clock_goes_on_where_somebody_died(small_steps, monkeypatch):
    queued(7, team="growth")
    rule = tag_rule("team", 1, value="growth")
    monkeypatch.setattr(relining, "finish", small_steps)
    assert recover.Clock().one_pass().moved >= 3
    rule.refresh_from_db()
    assert rule.phase == "force"


def test_a_leaving_rule_lets_go_at_once_and_is_gone_at_the_end(small_steps):
    rule = tag_rule("team", 0, value="growth")
    small_steps()
    runs = [launched_run(tags={"team": "growth"}) for _ in range(5)]
    assert {run.state for run in runs} == {states.QUEUED}
    run_limits.delete_rule(rule.pk, ADA)
    assert in_progress() == 5
    assert TagRule.objects.get().phase == "leaving"
    small_steps()
    assert not TagRule.objects.exists()
    assert not Gate.objects.filter(kind="run_tag").exists()


def test_the_same_rule_comes_anew_after_it_has_left(small_steps, monkeypatch):
    queued(5, team="growth")
    rule = tag_rule("team", 2, value="growth")
    small_steps()
    run_limits.delete_rule(rule.pk, ADA)
    monkeypatch.setattr(run_limits.relining, "finish", small_steps)
    anew = tag_rule("team", 3, value="growth")
    assert (anew.limit, anew.phase) == (3, "force")
    assert TagRule.objects.count() == 1


def test_its_limit_can_be_changed_in_between(small_steps):
    queued(5, team="growth")
    tag_rule("team", 2, value="growth")
    rule = tag_rule("team", 3, value="growth")
    small_steps()
    assert Gate.objects.get(key=f"rule:{rule.pk}").limit == 3


def test_a_run_that_starts_in_between_keeps_the_granularity_of_its_lane(small_steps):
    workers(1)
    pool("license", 9)
    run_limits.set_maximum(0, ADA)
    of = job(op("a", pool="license"))
    runs = [launched_run(of) for _ in range(5)]
    granularity.set_for_pool("license", "run", ADA)
    run_limits.set_maximum(5, ADA)
    held = [Run.objects.get(pk=run.pk).pools_held for run in runs]
    assert held == ['["license"]', '["license"]', "[]", "[]", "[]"]
    assert in_use("pool:license") == 2  # two runs; the ops of the others wait for the one worker
    small_steps()
