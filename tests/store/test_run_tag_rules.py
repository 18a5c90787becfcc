"""Tag rules of the run queue: three kinds, their overlaps, and changing them while runs wait and run."""

from __future__ import annotations

import pytest

from pools.models import Change, Gate
from pools.sizing import Author, Conflict
from runs import run_limits, transitions
from runs.models import Run, TagRule
from runs.run_limits import NoSuchRule
from runs.tag_limits import TagLimit
from tests.builders import (
    ADA,
    carry_out_all,
    in_use,
    job,
    launched_run,
    queued_run,
    running_op,
    started_run,
    tag_rule,
    workers,
)
from tests.invariants import check_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def launch_tagged(*values, key="team"):
    return [launched_run(tags={key: value}) for value in values]


def states_now(runs):
    return [Run.objects.get(pk=run.pk).state for run in runs]


S, Q = "started", "queued"


# --- the three kinds --------------------------------------------------------------------------------


def test_one_value():
    tag_rule("team", 1, value="growth")
    runs = launch_tagged("growth", "growth", "ops", "ops")
    assert states_now(runs) == [S, Q, S, S]


def test_any_value_together():
    tag_rule("team", 2)
    runs = [*launch_tagged("growth", "ops", "growth"), launched_run()]
    assert states_now(runs) == [S, S, Q, S]


def test_each_value_on_its_own():
    tag_rule("team", 1, per_value=True)
    runs = launch_tagged("growth", "ops", "growth", "ops", "new")
    assert states_now(runs) == [S, S, Q, Q, S]


def test_limit_0_lets_none_start():
    tag_rule("team", 0, value="growth")
    assert states_now(launch_tagged("growth", "ops")) == [Q, S]


def test_runs_without_the_tag_are_not_counted():
    tag_rule("team", 0)
    tag_rule("team", 0, per_value=True)
    assert launched_run().state == S
    assert launched_run(tags={"teams": "growth"}).state == S


def test_a_job_may_bring_the_tag():
    tag_rule("team", 0)
    assert launched_run(job(tags={"team": "growth"})).state == Q


def test_all_rules_that_match_must_have_room():
    tag_rule("team", 2, per_value=True)
    tag_rule("team", 1, value="ops")
    tag_rule("team", 3)
    runs = launch_tagged("ops", "ops", "growth", "growth", "growth")
    assert states_now(runs) == [S, Q, S, S, Q]


def test_different_keys_overlap():
    tag_rule("team", 1)
    tag_rule("region", 1)
    both = launched_run(tags={"team": "a", "region": "eu"})
    team, region, none = launched_run(tags={"team": "a"}), launched_run(tags={"region": "eu"}), launched_run()
    assert states_now([both, team, region, none]) == [S, Q, Q, S]
    transitions.cancel_run(both.pk, "ada")
    assert states_now([team, region]) == [S, S]


def test_the_maximum_counts_them_too():
    run_limits.set_maximum(2, ADA)
    tag_rule("team", 1)
    tagged = launch_tagged("a", "a")
    free = [launched_run(), launched_run()]
    assert states_now([*tagged, *free]) == [S, Q, S, Q]


def test_a_run_that_one_rule_refuses_takes_nothing_from_another():
    """Dagster counts a run against its tag limits before the pool check refuses it."""
    tag_rule("team", 1)
    tag_rule("region", 0)
    run_limits.set_maximum(1, ADA)
    refused = launched_run(tags={"team": "a", "region": "eu"}, priority=100)
    admissible = launched_run(tags={"team": "a"})
    assert states_now([refused, admissible]) == [Q, S]
    assert in_use("runs") == 1


def test_a_blocked_run_does_not_stop_those_behind_it():
    tag_rule("team", 1)
    runs = [*launch_tagged("a", "a", "a"), launched_run()]
    assert states_now(runs) == [S, Q, Q, S]


def test_the_end_of_a_run_lets_the_next_of_its_tag_start():
    workers(1)
    tag_rule("team", 1, per_value=True)
    runs = launch_tagged("a", "a", "b", "b")
    carry_out_all()
    assert states_now(runs) == ["success"] * 4


# --- adding -----------------------------------------------------------------------------------------


def test_a_new_rule_counts_those_in_progress_and_stops_none():
    runs = launch_tagged("a", "a", "b")
    tag_rule("team", 2)
    assert states_now(runs) == [S, S, S]
    gate = Gate.objects.get(kind="run_tag")
    assert (gate.limit, gate.in_use, gate.cap) == (2, 3, 3)
    later = launch_tagged("a", "c")
    assert states_now(later) == [Q, Q]
    transitions.cancel_run(runs[0].pk, "ada")
    assert states_now(later) == [Q, Q]
    transitions.cancel_run(runs[1].pk, "ada")
    assert states_now(later) == [S, Q]


def test_a_new_rule_counts_each_value_by_itself():
    launch_tagged("a", "a", "b")
    rule = tag_rule("team", 1, per_value=True)
    assert (in_use(f"rule:{rule.pk}=a"), in_use(f"rule:{rule.pk}=b")) == (2, 1)
    assert states_now(launch_tagged("a", "b", "c")) == [Q, Q, S]


def test_a_new_rule_counts_a_run_that_is_being_canceled():
    running = running_op(tags={"team": "a"})
    transitions.cancel_run(running.run_id, "ada")
    tag_rule("team", 1)
    assert states_now(launch_tagged("a")) == [Q]


def test_a_new_rule_binds_runs_that_are_queued_already():
    run_limits.set_maximum(0, ADA)
    runs = [*launch_tagged("a", "a"), launched_run()]
    tag_rule("team", 1)
    check_engine()
    run_limits.set_maximum(10, ADA)
    assert states_now(runs) == [S, Q, S]


def test_a_queued_run_keeps_its_place_when_a_rule_comes():
    run_limits.set_maximum(0, ADA)
    tagged, free = *launch_tagged("a"), launched_run()
    tag_rule("team", 5)
    run_limits.set_maximum(1, ADA)
    assert states_now([tagged, free]) == [S, Q]


def test_a_rule_for_a_tag_that_nobody_has_yet():
    tag_rule("team", 1)
    assert not Gate.objects.filter(kind="run_tag").exists()
    assert states_now(launch_tagged("a", "a")) == [S, Q]


# --- editing ----------------------------------------------------------------------------------------


def test_raising_a_rule_starts_whoever_fits_at_once():
    tag_rule("team", 1, per_value=True)
    runs = launch_tagged("a", "a", "a", "b", "b")
    tag_rule("team", 2, per_value=True)
    assert states_now(runs) == [S, S, Q, S, S]
    assert TagRule.objects.count() == 1


def test_lowering_a_rule_stops_nobody():
    tag_rule("team", 3)
    runs = launch_tagged("a", "a", "a", "a")
    tag_rule("team", 1)
    assert states_now(runs) == [S, S, S, Q]
    for run in runs[:2]:
        transitions.cancel_run(run.pk, "ada")
    assert states_now(runs[2:]) == [S, Q]
    transitions.cancel_run(runs[2].pk, "ada")
    assert states_now(runs[3:]) == [S]


def test_a_value_seen_after_the_edit_has_the_new_limit():
    tag_rule("team", 1, per_value=True)
    launch_tagged("a")
    tag_rule("team", 2, per_value=True)
    assert states_now(launch_tagged("b", "b", "b")) == [S, S, Q]


# --- deleting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{"value": "a"}, {}, {"per_value": True}], ids=["one value", "together", "each value"])
def test_deleting_a_rule_lets_go_whom_it_held_back(kind):
    rule = tag_rule("team", 1, **kind)
    runs = launch_tagged("a", "a", "a")
    run_limits.delete_rule(rule.pk, ADA)
    assert states_now(runs) == [S, S, S]
    assert not Gate.objects.filter(kind="run_tag").exists()
    for run in runs:
        transitions.cancel_run(run.pk, "ada")
    assert in_use("runs") == 0


def test_deleting_one_of_two_rules_keeps_the_other_in_force():
    tag_rule("team", 2)
    rule = tag_rule("team", 1, value="a")
    runs = launch_tagged("a", "a", "a")
    run_limits.delete_rule(rule.pk, ADA)
    assert states_now(runs) == [S, S, Q]


def test_a_rule_that_comes_again_counts_anew():
    rule = tag_rule("team", 1)
    runs = launch_tagged("a", "a")
    run_limits.delete_rule(rule.pk, ADA)
    assert states_now(runs) == [S, S]
    tag_rule("team", 1)
    assert in_use(f"rule:{TagRule.objects.get().pk}") == 2
    assert states_now(launch_tagged("a")) == [Q]


def test_deleting_a_rule_with_queued_runs_behind_a_closed_queue():
    run_limits.set_maximum(0, ADA)
    rule = tag_rule("team", 1)
    runs = launch_tagged("a", "a")
    run_limits.delete_rule(rule.pk, ADA)
    assert states_now(runs) == [Q, Q]
    run_limits.set_maximum(2, ADA)
    assert states_now(runs) == [S, S]


def test_a_rule_that_is_not_there_can_not_be_deleted():
    with pytest.raises(NoSuchRule, match="There is no tag rule 77"):
        run_limits.delete_rule(77, ADA)


# --- the ledger, and two people at once -------------------------------------------------------------


def test_every_change_of_a_rule_is_recorded():
    rule = run_limits.set_rule(TagLimit("team", 1, "a"), Author("bob", "page", "new"))
    run_limits.set_rule(TagLimit("team", 2, "a"), ADA)
    run_limits.delete_rule(rule.pk, ADA)
    found = list(Change.objects.order_by("id").values_list("subject", "field", "before", "after", "who"))
    assert found == [
        ("rule:team=a", "limit", "", "1", "bob"),
        ("rule:team=a", "limit", "1", "2", "ada"),
        ("rule:team=a", "deleted", "2", "", "ada"),
    ]


def test_setting_the_same_limit_changes_nothing():
    first = tag_rule("team", 1)
    assert tag_rule("team", 1).version == first.version
    assert Change.objects.count() == 1


def test_who_looked_before_somebody_elses_change_is_told():
    seen = tag_rule("team", 1).version
    tag_rule("team", 2)
    with pytest.raises(Conflict) as conflict:
        run_limits.set_rule(TagLimit("team", 3), ADA, version=seen)
    assert conflict.value.current == 2
    assert run_limits.set_rule(TagLimit("team", 2), ADA, version=seen).limit == 2
    assert run_limits.set_rule(TagLimit("team", 3), ADA, version=conflict.value.version).limit == 3


def test_rules_of_different_kinds_stand_side_by_side():
    tag_rule("team", 1)
    tag_rule("team", 2, per_value=True)
    tag_rule("team", 3, value="a")
    assert TagRule.objects.count() == 3
    assert started_run(tags={"team": "a"}).state == S


def test_tags_are_kept_when_a_queued_run_moves():
    run = queued_run(tags={"team": "a", "dagster/priority": "4"})
    tag_rule("team", 1)
    run.refresh_from_db()
    assert run.tags == {"team": "a", "dagster/priority": "4"}
