"""A configuration is compared with what is in force, and what differs is written by the verbs of each limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from pools import sizing
from pools.models import Change, Gate, Pool, PoolSettings
from pools.sizing import Author
from runs import catalog, config, granularity, in_force, launch, run_limits, states
from runs.config import Refused
from runs.config.applying import Phase
from runs.granularity import WouldDeadlock
from runs.models import RunQueue, TagRule
from runs.tag_limits import TagLimit
from tests.builders import op as node
from tests.builders import running_op
from tests.invariants import check_engine

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "controlplane.yaml"
SOMEBODY = Author("somebody", "page")
FILE = Author("ann", "file", "as agreed")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_installed")]


def shown(text: str) -> list[str]:
    return [str(difference) for difference in config.differences(config.parse(text))]


def apply(text: str) -> list[str]:
    found = config.differences(config.parse(text))
    config.apply(found, FILE)
    check_engine()
    assert shown(text) == [], "applied, and still different"
    return [str(difference) for difference in found]


def queued_run(**tags: str):
    """A run that waits for the run queue, or has started if there is room."""
    return launch.launch(catalog.current().jobs["one_op"], who="ann", door="cli", tags=tags)


def test_every_key_that_is_present_is_set() -> None:
    changes = apply(
        """
        concurrency:
          runs:
            max_concurrent_runs: 4
            tag_concurrency_limits:
              - {key: team, value: growth, limit: 1}
              - {key: region, value: {applyLimitPerUniqueValue: true}, limit: 2}
          pools:
            default_limit: 5
            limits: {database: 2}
        """
    )
    assert changes == [
        "concurrency.runs.max_concurrent_runs: 10 -> 4",
        "concurrency.runs.tag_concurrency_limits[team=growth]: none -> 1",
        "concurrency.runs.tag_concurrency_limits[each region]: none -> 2",
        "concurrency.pools.default_limit: none -> 5",
        "concurrency.pools.limits.database: none -> 2",
    ]
    assert RunQueue.objects.get().max_concurrent_runs == 4
    assert Gate.objects.get(key="runs").limit == 4
    assert [rule.limit for rule in in_force.rules()] == [
        TagLimit("team", 1, value="growth"),
        TagLimit("region", 2, per_value=True),
    ]
    assert PoolSettings.objects.get().default_limit == 5
    assert (Pool.objects.get().name, Pool.objects.get().limit) == ("database", 2)


def test_what_is_absent_is_left_alone() -> None:
    run_limits.set_maximum(4, SOMEBODY)
    run_limits.set_rule(TagLimit("team", 1), SOMEBODY)
    sizing.set_limit("database", 2, SOMEBODY)
    sizing.set_default_limit(7, SOMEBODY)
    assert apply("concurrency: {pools: {limits: {api: 3}}}") == ["concurrency.pools.limits.api: none -> 3"]
    assert RunQueue.objects.get().max_concurrent_runs == 4
    assert PoolSettings.objects.get().default_limit == 7
    assert TagRule.objects.get().key == "team"
    assert dict(Pool.objects.values_list("name", "limit")) == {"database": 2, "api": 3}


def test_the_list_of_rules_is_replaced_as_a_whole() -> None:
    run_limits.set_rule(TagLimit("team", 1), SOMEBODY)
    kept = run_limits.set_rule(TagLimit("team", 2, value="growth"), SOMEBODY)
    changed = run_limits.set_rule(TagLimit("region", 3), SOMEBODY)
    changes = apply(
        """
        concurrency:
          runs:
            tag_concurrency_limits:
              - {key: region, limit: 1}
              - {key: team, value: growth, limit: 2}
              - {key: 'dagster/backfill', limit: 3}
        """
    )
    assert changes == [
        "concurrency.runs.tag_concurrency_limits[region]: 3 -> 1",
        "concurrency.runs.tag_concurrency_limits[dagster/backfill]: none -> 3",
        "concurrency.runs.tag_concurrency_limits[team]: 1 -> none",
    ]
    assert set(TagRule.objects.values_list("pk", "key", "limit")) == {
        (kept.pk, "team", 2),
        (changed.pk, "region", 1),
        (TagRule.objects.get(key="dagster/backfill").pk, "dagster/backfill", 3),
    }
    apply("concurrency: {runs: {tag_concurrency_limits: []}}")
    assert not TagRule.objects.exists()


def test_limits_are_lifted_in_the_spelling_of_the_file() -> None:
    sizing.set_default_limit(7, SOMEBODY)
    changes = apply("concurrency: {runs: {max_concurrent_runs: -1}, pools: {default_limit: null}}")
    assert changes == [
        "concurrency.runs.max_concurrent_runs: 10 -> -1",
        "concurrency.pools.default_limit: 7 -> none",
    ]
    assert RunQueue.objects.get().max_concurrent_runs is None
    assert PoolSettings.objects.get().default_limit is None


def test_every_change_is_recorded_with_its_author_door_and_reason() -> None:
    apply("concurrency: {runs: {max_concurrent_runs: 4}, pools: {limits: {database: 2}}}")
    assert set(Change.objects.values_list("subject", "field", "before", "after", "who", "door", "why")) == {
        ("runs", "max_concurrent_runs", "10", "4", "ann", "file", "as agreed"),
        ("pool:database", "limit", "none", "2", "ann", "file", "as agreed"),
    }


def test_applying_twice_changes_and_records_nothing_more() -> None:
    apply(EXAMPLE.read_text())
    recorded = Change.objects.count()
    config.apply(config.differences(config.read(str(EXAMPLE))), FILE)
    assert Change.objects.count() == recorded


def test_whoever_fits_starts_at_once() -> None:
    run_limits.set_maximum(0, SOMEBODY)
    first, second = queued_run(), queued_run()
    apply("concurrency: {runs: {max_concurrent_runs: 1}}")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (states.STARTED, states.QUEUED)


def test_between_two_changes_nobody_starts_whom_the_old_and_the_new_limits_hold_back() -> None:
    run_limits.set_maximum(0, SOMEBODY)
    held_back, let_go = queued_run(team="growth"), queued_run(team="ops")
    apply(
        """
        concurrency:
          runs:
            max_concurrent_runs: 5
            tag_concurrency_limits: [{key: team, value: growth, limit: 0}]
        """
    )
    held_back.refresh_from_db()
    let_go.refresh_from_db()
    assert (held_back.state, let_go.state) == (states.QUEUED, states.STARTED)


def test_a_rule_is_replaced_by_a_wider_one_without_a_gap() -> None:
    run_limits.set_rule(TagLimit("team", 0, value="growth"), SOMEBODY)
    run = queued_run(team="growth")
    apply("concurrency: {runs: {tag_concurrency_limits: [{key: team, limit: 0}]}}")
    run.refresh_from_db()
    assert run.state == states.QUEUED


def test_a_pool_gets_its_own_limit_before_the_default_is_lifted() -> None:
    sizing.set_default_limit(0, SOMEBODY)
    apply("concurrency: {pools: {default_limit: null, limits: {database: 0}}}")
    subjects = Change.objects.filter(door="file").order_by("id").values_list("subject", flat=True)
    assert list(subjects) == ["pool:database", "pools"]


def test_a_rule_that_somebody_else_deletes_meanwhile_is_gone_as_wanted() -> None:
    row = run_limits.set_rule(TagLimit("team", 1), SOMEBODY)
    found = config.differences(config.parse("concurrency: {runs: {tag_concurrency_limits: []}}"))
    run_limits.delete_rule(row.pk, SOMEBODY)
    config.apply(found, FILE)
    assert not TagRule.objects.exists()
    assert Change.objects.filter(field="deleted").count() == 1


def test_the_settings_of_the_pool_check_and_of_granularity_are_set() -> None:
    changes = apply(
        """
        concurrency:
          runs: {block_op_concurrency_limited_runs: {enabled: false}}
          pools:
            granularity: run
            op_granularity_run_buffer: 3
            limits:
              api: {limit: 3, granularity: op}
        """
    )
    assert changes == [
        "concurrency.runs.block_op_concurrency_limited_runs.enabled: true -> false",
        "concurrency.pools.granularity: op -> run",
        "concurrency.pools.op_granularity_run_buffer: 0 -> 3",
        "concurrency.pools.limits.api: none -> 3",
        "concurrency.pools.limits.api.granularity: default -> op",
    ]
    settings = PoolSettings.objects.get()
    assert (settings.granularity, settings.run_buffer, settings.check_at_queue) == ("run", 3, False)
    assert (Pool.objects.get().limit, Pool.objects.get().granularity) == (3, "op")
    assert set(Change.objects.values_list("door", "why")) == {("file", "as agreed")}


def test_older_spellings_set_the_same() -> None:
    changes = apply(
        """
        concurrency: {default_op_concurrency_limit: 5}
        run_queue:
          max_concurrent_runs: 4
          block_op_concurrency_limited_runs: {enabled: true, op_concurrency_slot_buffer: 1}
        """
    )
    assert changes == [
        "concurrency.runs.max_concurrent_runs: 10 -> 4",
        "concurrency.pools.default_limit: none -> 5",
        "concurrency.pools.op_granularity_run_buffer: 0 -> 1",
    ]


def test_a_pool_keeps_what_a_mapping_does_not_mention_and_follows_the_default_when_told_to() -> None:
    sizing.set_limit("api", 3, SOMEBODY)
    granularity.set_for_pool("api", "run", SOMEBODY)
    assert apply("concurrency: {pools: {limits: {api: {granularity: null}}}}") == []
    assert apply("concurrency: {pools: {limits: {api: 4}}}") == ["concurrency.pools.limits.api: 3 -> 4"]
    assert apply("concurrency: {pools: {limits: {api: {granularity: default}}}}") == [
        "concurrency.pools.limits.api.granularity: run -> default"
    ]
    assert (Pool.objects.get().limit, Pool.objects.get().granularity) == (4, "")


def test_a_pool_that_is_only_listed_is_not_made() -> None:
    assert apply("concurrency: {pools: {limits: {api: {}, disk: {granularity: default}}}}") == []
    assert not Pool.objects.exists()


def test_narrower_limits_come_first_then_granularity_then_wider_ones() -> None:
    sizing.set_limit("narrower", 5, SOMEBODY)
    sizing.set_limit("wider", 1, SOMEBODY)
    found = config.differences(
        config.parse("concurrency: {pools: {granularity: run, limits: {wider: 2, narrower: 4}}}")
    )
    config.apply(found, FILE)
    subjects = Change.objects.filter(door="file").order_by("id").values_list("subject", flat=True)
    assert list(subjects) == ["pool:narrower", "pools", "pool:wider"]


def test_prune_forgets_what_was_set_for_pools_that_are_not_listed() -> None:
    for name in ("kept", "listed", "limited", "paused"):
        sizing.set_limit(name, 2, SOMEBODY)
    granularity.set_for_pool("own", "run", SOMEBODY)
    sizing.pause("paused", SOMEBODY)
    queued_run()
    wanted = config.parse("concurrency: {pools: {limits: {kept: 2, listed: {}}}}")
    found = config.differences(wanted, prune=True)
    assert [str(difference) for difference in found] == [
        "concurrency.pools.limits.limited: limit 2 -> deleted",
        "concurrency.pools.limits.own: limit none, granularity run -> deleted",
        "concurrency.pools.limits.paused: limit 2, paused true -> deleted",
    ]
    sizing.delete("limited", SOMEBODY)  # somebody else is faster
    config.apply(found, FILE)
    check_engine()
    assert config.differences(wanted, prune=True) == []
    assert dict(Pool.objects.exclude(limit=None).values_list("name", "limit")) == {"kept": 2, "listed": 2}


def test_a_pool_in_use_that_is_pruned_falls_back_to_the_default_and_stays_counted() -> None:
    sizing.set_default_limit(4, SOMEBODY)
    sizing.set_limit("database", 1, SOMEBODY)
    running_op(node("work", pool="database"))
    config.apply(config.differences(config.parse("concurrency: {pools: {limits: {}}}"), prune=True), FILE)
    gate = Gate.objects.get(key="pool:database")
    assert (Pool.objects.get().limit, gate.limit, gate.in_use) == (None, 4, 1)
    assert config.differences(config.parse("concurrency: {pools: {limits: {}}}"), prune=True) == []


def test_what_the_engine_refuses_on_the_way_is_said_with_what_was_written_before() -> None:
    def refuse(author: Author) -> None:
        raise WouldDeadlock("Run 1a2b3c4d would wait for itself.")

    found = config.differences(config.parse("concurrency: {runs: {max_concurrent_runs: 4}}"))
    refused = config.Difference("concurrency.pools.granularity", "op", "run", Phase.GRANULARITY, refuse)
    with pytest.raises(Refused) as caught:
        config.apply([refused, *found], FILE)
    assert str(caught.value) == (
        "concurrency.pools.granularity: op -> run is not allowed: Run 1a2b3c4d would wait for itself. "
        "1 of 2 changes was written before it."
    )
    assert RunQueue.objects.get().max_concurrent_runs == 4
