"""`manage.py concurrency`: the settings of the deployment, and the configuration file's way in and out."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from pools import sizing
from pools.models import Change, Pool, PoolSettings
from runs import config, granularity, in_force, run_limits
from runs.granularity import WouldDeadlock
from runs.models import RunQueue
from runs.tag_limits import TagLimit
from tests.store import commands
from tests.store.commands import SOMEBODY

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_installed")]


say = partial(commands.say, "concurrency")
read = partial(commands.read, "concurrency")
refused = partial(commands.refused, "concurrency")


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes a file; returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "controlplane.yaml"
        path.write_text(text)
        return str(path)

    return write


# --- one setting at a time --------------------------------------------------------------------------


def test_granularity_is_set_for_all_pools_and_for_one() -> None:
    assert say("granularity", "run", "--why", "licences") == "granularity: op -> run\n"
    assert say("granularity", "run") == "granularity: run, as before\n"
    assert say("granularity", "op", "--pool", "database") == "granularity of database: default -> op\n"
    assert (read("get", "database")["granularity"], read("get", "database")["own_granularity"]) == ("op", "op")
    assert say("granularity", "default", "--pool", "database") == "granularity of database: op -> default\n"
    assert (read("get", "database")["granularity"], read("get", "database")["own_granularity"]) == ("run", None)
    change = Change.objects.earliest("id")
    assert (change.door, change.field, change.before, change.after, change.why) == (
        "cli", "granularity", "op", "run", "licences",
    )  # fmt: skip


def test_a_granularity_of_its_own_is_shown_with_the_pool() -> None:
    say("granularity", "run", "--pool", "database")
    assert say("get", "database").splitlines()[1].endswith("default, granularity run")


def test_the_buffer_and_the_check_at_the_queue_are_set() -> None:
    assert say("buffer", "3") == "op_granularity_run_buffer: 0 -> 3\n"
    assert say("queue-check", "off", "--why", "trial") == "block_op_concurrency_limited_runs: on -> off\n"
    assert say("queue-check", "off") == "block_op_concurrency_limited_runs: off, as before\n"
    settings = PoolSettings.objects.get()
    assert (settings.run_buffer, settings.check_at_queue) == (3, False)
    assert Change.objects.latest("id").why == "trial"


def test_the_maximum_of_the_run_queue_is_set_and_lifted() -> None:
    assert say("runs", "4", "--why", "night") == "max_concurrent_runs: 10 -> 4\n"
    assert say("runs", "none") == "max_concurrent_runs: 4 -> none\n"
    assert say("runs", "-1") == "max_concurrent_runs: none, as before\n"
    assert RunQueue.objects.get().max_concurrent_runs is None
    assert Change.objects.earliest("id").why == "night"


def test_a_rule_of_each_kind_is_set_and_deleted() -> None:
    assert say("rule", "team", "3") == "rule team: none -> 3\n"
    assert say("rule", "team", "--value", "growth", "1", "--why", "noisy") == "rule team=growth: none -> 1\n"
    assert say("rule", "team", "--each", "2") == "rule each team: none -> 2\n"
    assert say("rule", "team", "4") == "rule team: 3 -> 4\n"
    assert {rule.limit for rule in in_force.rules()} == {
        TagLimit("team", 4),
        TagLimit("team", 1, value="growth"),
        TagLimit("team", 2, per_value=True),
    }
    assert Change.objects.get(subject="rule:team=growth").why == "noisy"
    assert say("rule-delete", "team", "--value", "growth") == "rule team=growth: deleted, it was 1.\n"
    assert say("rule-delete", "team", "--each", "--why", "quiet") == "rule each team: deleted, it was 2.\n"
    assert [rule.limit for rule in in_force.rules()] == [TagLimit("team", 4)]
    assert Change.objects.latest("id").why == "quiet"


def test_get_all_shows_every_setting() -> None:
    for line in ("default 5", "granularity run", "buffer 3", "queue-check off", "runs 4", "rule team --each 2"):
        say(*line.split())
    say("rule", "dagster/backfill", "3")
    everything = read("get", "--all")
    assert everything == {
        "default_limit": 5,
        "granularity": "run",
        "op_granularity_run_buffer": 3,
        "block_op_concurrency_limited_runs": {"enabled": False},
        "max_concurrent_runs": 4,
        "tag_concurrency_limits": [
            {"key": "team", "value": {"applyLimitPerUniqueValue": True}, "limit": 2},
            {"key": "dagster/backfill", "limit": 3},
        ],
        "pools": [],
    }
    assert say("get", "--all").splitlines()[1:] == [
        "Pools without a limit of their own: 5.",
        "granularity: run",
        "op_granularity_run_buffer: 3",
        "block_op_concurrency_limited_runs: off",
        "max_concurrent_runs: 4",
        "rule each team: 2",
        "rule dagster/backfill: 3",
    ]
    say("runs", "none")
    assert read("get", "--all")["max_concurrent_runs"] is None


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("granularity", "both"), "granularity: 'both' is not allowed: use op or run."),
        (
            ("granularity", "default"),
            "granularity: 'default' is not allowed: use op or run; with --pool NAME also default.",
        ),
        (
            ("granularity", "x", "--pool", "database"),
            "granularity: 'x' is not allowed: use op, run or default.",
        ),
        (("granularity", "run", "--pool", "a b"), "'a b' is not a pool's name: use 1 to 200 characters"),
        (("granularity", "default", "--pool", "nowhere"), "There is no pool 'nowhere'."),
        (("buffer", "-1"), "op_granularity_run_buffer: '-1' is not allowed: use a whole number from 0 to 100000."),
        (("queue-check", "yes"), "queue-check: 'yes' is not allowed: use on or off."),
        (
            ("runs", "-2"),
            "max_concurrent_runs: '-2' is not allowed: use a whole number, 0 or more, or -1",
        ),
        (("rule", "team", "-1"), "rule.limit: -1 is not allowed: use a whole number, 0 or more."),
        (("rule", "team", "two"), "rule.limit: 'two' is not allowed: use a whole number, 0 or more."),
        (("rule", "", "1"), "rule.key: '' is not allowed: use the name of a tag, 1 to 200 characters."),
        (("rule", "team", "1", "--each", "--value", "x"), "Error: argument --value: not allowed with argument --each"),
        (("rule-delete", "team"), "There is no rule 'team'."),
        (("rule-delete", "team", "--each"), "There is no rule 'each team'."),
    ],
)
def test_what_is_not_allowed_is_said_in_a_line_and_changes_nothing(arguments: tuple[str, ...], line: str) -> None:
    (said,) = refused(*arguments)
    assert said.startswith(line)
    assert not Change.objects.exists()
    assert not Pool.objects.exists()


# --- the file ---------------------------------------------------------------------------------------


def test_apply_prints_the_differences_as_json_also_without_writing_them(file: Any) -> None:
    run_limits.set_rule(TagLimit("team", 1), SOMEBODY)
    sizing.set_limit("old", 7, SOMEBODY)
    path = file(
        """
        concurrency:
          runs:
            max_concurrent_runs: -1
            tag_concurrency_limits: []
            block_op_concurrency_limited_runs: {enabled: false}
          pools:
            default_limit: 5
            limits: {database: {limit: 2, granularity: run}}
        """
    )
    changes = [
        {"path": "concurrency.runs.max_concurrent_runs", "before": 10, "after": None},
        {"path": "concurrency.runs.tag_concurrency_limits[team]", "before": 1, "after": None},
        {"path": "concurrency.runs.block_op_concurrency_limited_runs.enabled", "before": True, "after": False},
        {"path": "concurrency.pools.default_limit", "before": None, "after": 5},
        {"path": "concurrency.pools.limits.database", "before": None, "after": 2},
        {"path": "concurrency.pools.limits.database.granularity", "before": "default", "after": "run"},
        {"path": "concurrency.pools.limits.old", "before": {"limit": 7}, "after": "deleted"},
    ]
    recorded = Change.objects.count()
    assert read("apply", path, "--prune", "--dry-run") == {"applied": False, "changes": changes}
    assert Change.objects.count() == recorded
    assert read("apply", path, "--prune") == {"applied": True, "changes": changes}
    assert read("apply", path, "--prune") == {"applied": True, "changes": []}
    assert list(Pool.objects.values_list("name", "limit", "granularity")) == [("database", 2, "run")]


def test_prune_without_a_list_of_pools_is_an_error_and_not_the_end_of_all_pools(file: Any) -> None:
    sizing.set_limit("database", 2, SOMEBODY)
    for text in ("concurrency: {pools: {default_limit: 5}}", "concurrency: {pools: {limits: }}", ""):
        assert refused("apply", file(text), "--prune") == [
            "concurrency.pools.limits: missing, and --prune removes what is not listed there: "
            "list pools, or write {} to remove all."
        ]
    assert Pool.objects.get().limit == 2
    assert PoolSettings.objects.get().default_limit is None
    say("apply", file("concurrency: {pools: {limits: {}}}"), "--prune")
    assert not Pool.objects.exists()


def test_a_switch_that_the_engine_refuses_is_one_line_and_nothing_is_applied(
    file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(wanted: Any) -> None:
        assert wanted == {"database": "run"}
        raise WouldDeadlock("run 1a2b3c4d holds slots of database and could wait for itself.")

    monkeypatch.setattr(granularity, "refuse_deadlock", refuse)
    path = file("concurrency: {runs: {max_concurrent_runs: 4}, pools: {limits: {database: {granularity: run}}}}")
    assert refused("apply", path) == [
        "concurrency.pools.limits.database.granularity: default -> run is not allowed: "
        "run 1a2b3c4d holds slots of database and could wait for itself. Nothing was changed."
    ]
    assert not Change.objects.exists()
    assert refused("granularity", "run", "--pool", "database") == [
        "run 1a2b3c4d holds slots of database and could wait for itself."
    ]


def test_export_prints_a_file_that_changes_nothing_when_it_is_applied(file: Any) -> None:
    sizing.set_limit("database", 2, SOMEBODY)
    granularity.set_for_pool("api", "run", SOMEBODY)
    sizing.set_limit("api", 3, SOMEBODY)
    sizing.set_limit("paused", 3, SOMEBODY)
    sizing.pause("paused", SOMEBODY)
    run_limits.set_rule(TagLimit("team", 1, value="growth"), SOMEBODY)
    recorded = Change.objects.count()
    text = say("export")
    assert text == (
        "concurrency:\n"
        "  runs:\n"
        "    max_concurrent_runs: 10\n"
        "    tag_concurrency_limits:\n"
        "    - key: team\n"
        "      value: growth\n"
        "      limit: 1\n"
        "    block_op_concurrency_limited_runs:\n"
        "      enabled: true\n"
        "  pools:\n"
        "    default_limit: null\n"
        "    granularity: op\n"
        "    op_granularity_run_buffer: 0\n"
        "    limits:\n"
        "      api:\n"
        "        limit: 3\n"
        "        granularity: run\n"
        "      database: 2\n"
        "      paused: 3\n"
    )
    assert read("export") == yaml.safe_load(text)
    assert say("apply", file(text), "--prune") == "Nothing to change.\n"
    assert Change.objects.count() == recorded


def test_the_schema_is_printed_without_a_database(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "concurrency", "schema"],
        cwd=ROOT,
        env={
            "PATH": "",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
            "CONTROLPLANE_DATA": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == config.json_schema()
