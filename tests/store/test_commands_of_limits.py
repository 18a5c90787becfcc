"""`manage.py concurrency` and `changes`: what each changes and prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pools import sizing
from pools.models import Change, Pool, PoolSettings
from pools.sizing import Author
from runs import workforce
from runs.models import RunQueue, TagRule
from tests.house.code import ROOT
from tests.store.commands import SOMEBODY, me, read, refused, say

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "command_jobs")]


def test_set_makes_a_pool_and_changes_its_limit() -> None:
    assert say("concurrency", "set", "database", "2", "--why", "two licences") == "database: none -> 2\n"
    assert say("concurrency", "set", "database", "0") == "database: 2 -> 0\n"
    assert say("concurrency", "set", "database", "0") == "database: 0, as before\n"
    assert Pool.objects.get(name="database").limit == 0
    change = Change.objects.earliest("id")
    assert (change.door, change.why, change.before, change.after) == ("cli", "two licences", "none", "2")
    assert change.who == me()


def test_get_shows_a_pool_and_all_of_them() -> None:
    sizing.set_limit("database", 2, SOMEBODY)
    sizing.set_limit("api", 3, SOMEBODY)
    sizing.set_default_limit(5, SOMEBODY)
    sizing.pause("api", Author("bob", "page", "maintenance"))
    assert read("concurrency", "get", "api") == {
        "pool": "api", "limit": 3, "own_limit": 3, "in_use": 0, "waiting": 0, "waiting_since": None, "paused": True,
        "paused_by": "bob", "pause_reason": "maintenance", "paused_until": None, "description": "",
        "version": Pool.objects.get(name="api").version, "granularity": "op", "own_granularity": None,
    }  # fmt: skip
    everything = read("concurrency", "get", "--all")
    assert everything["default_limit"] == 5
    assert [(pool["pool"], pool["limit"]) for pool in everything["pools"]] == [("api", 3), ("database", 2)]
    assert say("concurrency", "get", "--all").splitlines() == [
        "POOL      LIMIT  IN USE  WAITING",
        "api       3      0       0        paused by bob: maintenance",
        "database  2      0       0",
        "Pools without a limit of their own: 5.",
        "granularity: op",
        "op_granularity_run_buffer: 0",
        "block_op_concurrency_limited_runs: off",
        "max_concurrent_runs: 10",
    ]


def test_get_counts_who_holds_and_who_waits() -> None:
    sizing.set_limit("database", 1, SOMEBODY)
    workforce.enlist("launcher", "host", "default", 4)
    for _ in range(3):
        say("launch", "--select", "orders")
    shown = read("concurrency", "get", "database")
    assert (shown["in_use"], shown["waiting"]) == (1, 2)
    assert shown["waiting_since"] is not None


def test_a_pool_without_a_limit_of_its_own_shows_the_one_that_applies() -> None:
    say("launch", "--select", "orders")
    assert say("concurrency", "get", "database").splitlines()[1].split() == [
        "database",
        "unlimited",
        "0",
        "0",
        "default",
    ]
    say("concurrency", "default", "4")
    assert read("concurrency", "get", "database")["limit"] == 4
    assert read("concurrency", "get", "database")["own_limit"] is None


def test_default_sets_and_lifts_the_default_limit() -> None:
    assert say("concurrency", "default", "5") == "default_limit: none -> 5\n"
    assert say("concurrency", "default", "none") == "default_limit: 5 -> none\n"
    assert PoolSettings.objects.get().default_limit is None


def test_delete_falls_back_to_the_default() -> None:
    sizing.set_limit("database", 2, SOMEBODY)
    say("concurrency", "default", "5")
    assert say("concurrency", "delete", "database") == "database: deleted; the default applies: 5.\n"
    assert refused("concurrency", "delete", "database") == ["There is no pool 'database'."]


def test_pause_keeps_the_limit_and_resume_restores_it() -> None:
    sizing.set_limit("database", 2, SOMEBODY)
    say("concurrency", "pause", "database", "--why", "x" * 600)
    pool = Pool.objects.get()
    assert (pool.limit, pool.paused_by, pool.pause_reason) == (2, me(), "x" * 500)
    say("concurrency", "resume", "database")
    pool.refresh_from_db()
    assert (pool.limit, pool.paused_at) == (2, None)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("set", "database", "-1"), "limit: '-1' is not allowed: use a whole number from 0 to 100000."),
        (("set", "database", "2.5"), "limit: '2.5' is not allowed: use a whole number from 0 to 100000."),
        (("set", "database", "100001"), "limit: '100001' is not allowed: use a whole number from 0 to 100000."),
        (("set", "a b", "2"), "'a b' is not a pool's name: use 1 to 200 characters without white space."),
        (("default", "many"), "default_limit: 'many' is not allowed: use a whole number from 0 to 100000."),
        (("get", "nowhere"), "There is no pool 'nowhere'."),
        (("get",), "name a pool, or write --all."),
        (("get", "database", "--all"), "name a pool, or write --all."),
        (("pause", "nowhere"), "There is no pool 'nowhere'."),
        (("resume", "nowhere"), "There is no pool 'nowhere'."),
    ],
)
def test_what_is_not_allowed_is_said_in_a_line_and_changes_nothing(arguments: tuple[str, ...], line: str) -> None:
    assert refused("concurrency", *arguments) == [line]
    assert not Change.objects.exists()
    assert not Pool.objects.exists()


def test_apply_prints_what_differs_and_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "controlplane.yaml"
    file.write_text("concurrency: {runs: {max_concurrent_runs: 4}, pools: {limits: {database: 2}}}")
    lines = ["concurrency.runs.max_concurrent_runs: 10 -> 4", "concurrency.pools.limits.database: none -> 2"]
    assert say("concurrency", "apply", str(file), "--dry-run").splitlines() == [*lines, "2 changes, nothing written."]
    assert not Change.objects.exists()
    assert say("concurrency", "apply", str(file), "--why", "agreed").splitlines() == [*lines, "2 changes applied."]
    assert RunQueue.objects.get().max_concurrent_runs == 4
    assert set(Change.objects.values_list("who", "door", "why")) == {(me(), "file", "agreed")}
    assert say("concurrency", "apply", str(file)) == "Nothing to change.\n"


def test_apply_takes_nothing_from_a_file_that_is_wrong_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "controlplane.yaml"
    file.write_text("concurrency: {runs: {max_concurrent_runs: 4}, pools: {default_limit: -1, limits: {a: x}}}")
    assert refused("concurrency", "apply", str(file)) == [
        "concurrency.pools.default_limit: -1 is not allowed: "
        "use a whole number from 0 to 100000, or null for no limit.",
        "concurrency.pools.limits.a: 'x' is not allowed: use a whole number from 0 to 100000.",
    ]
    assert RunQueue.objects.get().max_concurrent_runs == 10
    assert not Change.objects.exists()


def test_the_example_applies() -> None:
    assert say("concurrency", "apply", str(ROOT / "examples" / "controlplane.yaml")).endswith("3 changes applied.\n")
    assert TagRule.objects.get().key == "dagster/backfill"
    assert PoolSettings.objects.get().default_limit == 5


# --- changes ----------------------------------------------------------------------------------------


def test_changes_lists_the_newest_first_and_about_one_thing() -> None:
    sizing.set_limit("database", 1, SOMEBODY)
    sizing.set_limit("database", 3, Author("somebody", "page", "catch up"))
    sizing.set_limit("api", 2, SOMEBODY)
    first, second, third = Change.objects.order_by("id")
    assert [line.split()[0] for line in say("changes").splitlines()] == [
        "ID",
        str(third.pk),
        str(second.pk),
        str(first.pk),
    ]
    assert [entry["id"] for entry in read("changes", "--limit", "1")] == [third.pk]
    found = read("changes", "--subject", "pool:database")
    assert found[0] == {
        "id": second.pk, "at": second.at.isoformat(), "who": "somebody", "door": "page", "subject": "pool:database",
        "field": "limit", "before": "1", "after": "3", "why": "catch up", "reverts": None,
    }  # fmt: skip
    assert len(found) == 2
    assert read("changes", "--subject", "nothing") == []
    assert len(read("changes", "--subject", "pool:")) == 3


def test_a_change_is_reverted_once() -> None:
    sizing.set_limit("database", 1, SOMEBODY)
    sizing.set_limit("database", 3, SOMEBODY)
    change = Change.objects.latest("id")
    said = say("changes", "revert", str(change.pk), "--why", "too fast")
    undone = Change.objects.latest("id")
    assert said == f"change {change.pk} undone by change {undone.pk}: pool:database limit: 3 -> 1\n"
    assert (Pool.objects.get().limit, undone.door, undone.reverts) == (1, "cli", change)
    assert undone.why == f"reverts change {change.pk}: too fast"
    line = f"Change {change.pk} can't be undone: it was undone by change {undone.pk}, made by {undone.who}."
    assert refused("changes", "revert", str(change.pk)) == [line]
    assert refused("changes", "revert", "0") == ["There is no change 0."]
    assert refused("changes", "--limit", "0") == ["--limit: 0 is not allowed: use a whole number from 1 to 1000."]
