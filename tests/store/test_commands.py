"""The command line: what each command changes and prints, its exit status, and the one line on stderr."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from pools import sizing
from pools.models import Change, Pool, PoolSettings
from pools.sizing import Author
from runs import catalog, launch, run_limits, states, tickets, watch, workforce
from runs.launcher import Launcher
from runs.models import Op, Run, RunQueue, TagRule, Worker
from runs.tag_limits import TagLimit
from tests import servers
from tests.invariants import check_engine

ROOT = Path(__file__).resolve().parents[2]
JOBS = "tests.store.command_jobs"
SOMEBODY = Author("somebody", "page")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """The definitions of command_jobs, loaded when they are first asked for."""
    settings.CONTROLPLANE_MODULES = [JOBS]
    monkeypatch.setattr(catalog, "_loaded", None)
    sys.modules.pop(JOBS, None)


def say(*arguments: str) -> str:
    """Run a command here; returns what it prints."""
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    check_engine()
    return out.getvalue()


def read(*arguments: str) -> Any:
    """Run a command here; returns the JSON that it prints."""
    return json.loads(say(*arguments, "--json"))


def refused(*arguments: str) -> list[str]:
    """Run a command here that must fail; returns its lines."""
    with pytest.raises(CommandError) as caught:
        say(*arguments)
    return str(caught.value).splitlines()


def me() -> str:
    """The operating system's user."""
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def manage(database_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs manage.py as a process of its own, as a person does."""

    def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url, "CONTROLPLANE_MODULES": JOBS, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def worker(database_url: str) -> Iterator[None]:
    """A real launcher with one worker, counted as alive."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker", "--count", "1", "--grace", "0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "CONTROLPLANE_MODULES": JOBS},
    )
    try:
        servers.wait_for(lambda: Worker.objects.filter(pid__isnull=False).exists(), "no worker came alive")
        yield
    finally:
        process.terminate()
        process.wait(20)


def queued(job: str = "failing", **options: Any) -> Run:
    """A run that the closed run queue keeps waiting."""
    run_limits.set_maximum(0, SOMEBODY)
    return launch.launch(catalog.current().jobs[job], who="ann", door="page", **options)


# --- concurrency ------------------------------------------------------------------------------------


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


# --- launch -----------------------------------------------------------------------------------------


def test_launch_queues_a_run_with_its_tags_params_and_priority() -> None:
    report = read(
        "launch", "sized", "--tag", "team=growth", "--tag", "note=a=b", "--priority", "-5", "--param", "rows=3"
    )
    run = Run.objects.get()
    assert (report["run"], report["state"], report["job"]) == (run.uid, "started", "sized")
    assert run.tags == {"team": "growth", "note": "a=b", "dagster/priority": "-5"}
    assert (run.params, run.priority) == ({"rows": 3, "dry": False}, -5)
    assert (run.launched_by, run.door) == (me(), "cli")


def test_launch_takes_a_document_and_options_on_top_of_it(tmp_path: Path) -> None:
    file = tmp_path / "launch.yaml"
    file.write_text("params: {rows: 3, dry: true}\ntags: {team: growth, note: 7}\npriority: 2\n")
    read("launch", "sized", "--file", str(file), "--tag", "team=core", "--param", "dry=false")
    run = Run.objects.get()
    assert run.params == {"rows": 3, "dry": False}
    assert run.tags == {"team": "core", "note": "7", "dagster/priority": "2"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("params: {rows: [1]}", "params.rows: Input should be a valid integer (got [1])"),
        ("parms: {}", "parms: unknown; there are params, tags, priority."),
        ("a: {", "YAML: line 1, column 5: expected the node content, but found '<stream end>'."),
        ("params: {rows: 1}\npriority: 1\ntags: {dagster/priority: 2}", "priority: it is given twice, with --priority"),
    ],
)
def test_a_document_that_is_wrong_is_refused(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "launch.yaml"
    file.write_text(text)
    (said,) = refused("launch", "sized", "--file", str(file))
    assert said.startswith(line)
    assert refused("launch", "sized", "--file", "/nowhere")[0].startswith("/nowhere: No such file")


def test_launch_selects_assets_without_a_job() -> None:
    report = read("launch", "--select", "totals, orders")
    assert report["job"] == "assets"
    assert list(Op.objects.order_by("rank").values_list("key", "waits_for")) == [("orders", 0), ("totals", 1)]


def test_launch_warns_of_a_priority_that_is_no_number() -> None:
    err = StringIO()
    call_command("launch", "failing", "--tag", "dagster/priority=high", stdout=StringIO(), stderr=err)
    assert err.getvalue() == "warning: dagster/priority='high' is no whole number; it counts as 0.\n"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ((), ["job: name a job, or assets with --select"]),
        (("failing", "--select", "orders"), ["job: name a job, or assets with --select, not both"]),
        (("nothing",), ["job: there is no job 'nothing'; there are: failing, sized"]),
        (("--select", "x"), ["select: there is no asset 'x'; there are: orders, totals"]),
        (("--select", ","), ["select: select at least one asset"]),
        (("sized",), ["params.rows: required"]),
        (
            ("sized", "--param", "rows=many", "--param", "dry=perhaps"),
            ["params.rows: Input should be a valid integer", "params.dry: Input should be a valid boolean"],
        ),
        (("failing", "--param", "rows=3"), ["params.rows: this job takes no params"]),
        (("failing", "--tag", "team"), ["tag: 'team' is not allowed: write --tag KEY=VALUE"]),
        (("failing", "--tag", "=x"), ["tag: '=x' is not allowed: write --tag KEY=VALUE"]),
        (("failing", "--tag", "a=1", "--tag", "a=2"), ["tag: 'a' is given twice"]),
        (("failing", "--priority", "high"), ["priority: 'high' is not allowed: use a whole number"]),
        (
            ("failing", "--priority", "1", "--tag", "dagster/priority=2"),
            ["priority: it is given twice, with --priority and as the tag dagster/priority"],
        ),
        (
            ("failing", "--priority", str(2**31 - 10)),
            ["priority: 2147483638 is not allowed: use a whole number; alone and summed"],
        ),
    ],
)
def test_what_can_not_be_launched_is_said_by_field(arguments: tuple[str, ...], lines: list[str]) -> None:
    said = refused("launch", *arguments)
    assert len(said) == len(lines)
    for line, beginning in zip(said, lines, strict=True):
        assert line.startswith(beginning)
    assert not Run.objects.exists()


def test_a_job_that_is_missing_because_its_module_is_broken_says_so(settings: Any) -> None:
    settings.CONTROLPLANE_MODULES = ["tests.store.no_such_module"]
    (line,) = refused("launch", "sized")
    assert "there is no job 'sized'" in line
    assert "not loaded: tests.store.no_such_module: ModuleNotFoundError" in line


@pytest.mark.parametrize("tags", [{"a": "x\0y"}, {"a\0": "x"}, {"a": "\ud800"}])
def test_a_tag_that_no_database_keeps_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(launch.CannotLaunch) as caught:
        launch.launch(catalog.current().jobs["failing"], who="ann", door="page", tags=tags)
    assert list(caught.value.errors) == ["tags"]


# --- runs -------------------------------------------------------------------------------------------


def test_list_shows_the_newest_first_and_filters() -> None:
    old = queued("failing")
    new = queued("sized", values={"rows": 3}, tags={"team": "growth"})
    say("runs", "cancel", old.uid)
    assert [run["run"] for run in read("runs", "list")] == [new.uid, old.uid]
    assert [run["run"] for run in read("runs", "list", "--limit", "1")] == [new.uid]
    assert [run["run"] for run in read("runs", "list", "--state", "canceled")] == [old.uid]
    assert [run["run"] for run in read("runs", "list", "--job", "sized")] == [new.uid]
    assert [run["run"] for run in read("runs", "list", "--tag", "team=core")] == [old.uid]
    assert read("runs", "list", "--job", "nothing") == []
    lines = say("runs", "list").splitlines()
    assert lines[0].split() == ["RUN", "STATE", "JOB", "PRIORITY", "QUEUED", "TOOK", "TAGS"]
    assert lines[1].split()[:4] == [new.short, "queued", "sized", "0"]
    assert lines[1].endswith("team=growth")


def test_list_finds_runs_of_assets() -> None:
    say("launch", "--select", "orders")
    assert [run["job"] for run in read("runs", "list", "--job", "assets")] == ["assets"]


def test_show_says_why_a_run_waits() -> None:
    run_limits.set_rule(TagLimit("team", 0, value="core"), SOMEBODY)
    run = queued("failing")
    shown = read("runs", "show", run.uid[:6])
    assert (shown["run"], shown["state"]) == (run.uid, "queued")
    assert [(check["gate"], check["label"], check["room"], check["reason"]) for check in shown["waits"]] == [
        ("runs", "runs in progress", False, "is closed: its limit is 0"),
        ("run_tag", "team=core", False, "is closed: its limit is 0"),
    ]
    assert [(op["op"], op["state"], op["waits"]) for op in shown["ops"]] == [("fail", "pending", [])]
    assert "waits     the run queue is closed: its limit is 0; run limit team=core is closed: its limit is 0" in say(
        "runs", "show", run.uid
    )


def test_show_says_why_an_op_waits_and_for_whom() -> None:
    sizing.set_limit("database", 1, SOMEBODY)
    workforce.enlist("launcher", "host", "default", 2)
    say("launch", "--select", "orders,totals")
    waiting = read("launch", "--select", "orders,totals")["run"]
    orders, totals = read("runs", "show", waiting)["ops"]
    assert (orders["state"], totals["state"], totals["after"]) == ("ready", "pending", ["orders"])
    assert [check for check in orders["waits"] if not check["room"]] == [
        {
            "gate": "pool", "label": "database", "need": 1, "in_use": 1, "limit": 1, "room": False,
            "reason": "is full: 1 of 1 in use",
        }
    ]  # fmt: skip
    text = say("runs", "show", waiting)
    assert "pool database is full: 1 of 1 in use" in text
    assert "after orders" in text


def test_cancel_is_harmless_twice_and_refused_when_there_is_nothing_to_cancel() -> None:
    run = queued()
    assert read("runs", "cancel", run.uid) == {"run": run.uid, "state": "canceled"}
    assert say("runs", "cancel", run.short) == f"run {run.uid}: canceled\n"
    run.refresh_from_db()
    assert run.canceled_by == me()
    ended = queued()
    Run.objects.filter(pk=ended.pk).update(state=states.SUCCESS, ended_at=ended.queued_at)
    assert refused("runs", "cancel", ended.uid) == [f"run {ended.short} is over: success; there is nothing to cancel."]


def test_priority_gives_a_waiting_run_another_place() -> None:
    first, second = queued(), queued()
    assert say("runs", "priority", second.uid, "7") == f"run {second.uid}: priority 0 -> 7\n"
    run_limits.set_maximum(1, SOMEBODY)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, second.priority) == (states.QUEUED, states.STARTED, 7)


@pytest.mark.parametrize("number", ["high", "1.5", "", str(2**31), str(2**31 - 10), "9" * 25])
def test_priority_must_be_a_whole_number_that_fits_with_the_ops(number: str) -> None:
    run = queued("failing")  # its op adds 10
    (line,) = refused("runs", "priority", run.uid, number)
    assert line.startswith(f"priority: {number!r} is not allowed: use a whole number")
    run.refresh_from_db()
    assert run.priority == 0


def test_runs_are_found_by_a_unique_beginning_only() -> None:
    run = queued()
    twin = queued()
    Run.objects.filter(pk=twin.pk).update(uid=run.uid[:8] + "0" * 24)
    assert refused("runs", "show", run.uid[:8]) == [f"Several runs begin with {run.uid[:8]!r}; write more of it."]
    assert refused("runs", "cancel", "nosuchrun") == ["There is no run 'nosuchrun'."]
    assert refused("runs", "priority", "%", "1") == ["There is no run '%'."]


def test_a_command_on_a_run_that_is_over_says_so() -> None:
    run = queued()
    say("runs", "cancel", run.uid)
    assert refused("runs", "priority", run.uid, "1") == [
        f"run {run.short} is over; its priority does not matter any more."
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("list", "--state", "running"), "--state: 'running' is not allowed: use one of queued, started, canceling"),
        (("list", "--limit", "0"), "--limit: 0 is not allowed: use 1 to 10000."),
    ],
)
def test_a_list_that_can_not_be_made_is_refused(arguments: tuple[str, ...], line: str) -> None:
    (said,) = refused("runs", *arguments)
    assert said.startswith(line)


def test_nothing_that_others_wrote_steers_the_terminal() -> None:
    queued(tags={"note": "\033[2Jgone\nnext"})
    text = say("runs", "list")
    assert "\033" not in text
    assert "note=�[2Jgone�next" in text


# --- as processes of their own ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("concurrency",), "error: the following arguments are required: ACTION"),
        (("concurrency", "set", "database"), "error: the following arguments are required: LIMIT"),
        (("concurrency", "set", "database", "-1"), "error: limit: '-1' is not allowed: use a whole number"),
        (("concurrency", "apply", "nowhere.yaml"), "error: nowhere.yaml: No such file or directory"),
        (("launch", "nothing"), "error: job: there is no job 'nothing'; there are: failing, sized"),
        (("runs", "list", "--limit", "x"), "error: argument --limit: invalid int value: 'x'"),
        (("runs", "show", "nosuchrun"), "error: There is no run 'nosuchrun'."),
        (("launch", "failing", "--tag", b"team=\xff"), "error: the argument 'team=\\udcff' is not utf-8 text"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_exit_1_and_one_line_on_stderr(manage: Any, arguments: tuple[Any, ...], line: str) -> None:
    done = manage(*arguments)
    assert done.returncode == 1
    said = [text for text in done.stderr.splitlines() if text != "a module that says something while it is loaded"]
    assert len(said) == 1
    assert said[0].startswith(line)
    assert done.stdout == ""


def test_a_database_that_is_behind_or_away_is_said_in_one_line(manage: Any, tmp_path: Path) -> None:
    behind = manage("concurrency", "set", "database", "2", DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3")
    assert behind.returncode == 1
    assert behind.stderr.startswith("error: the database is behind this code by")
    away = manage("runs", "list", DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/new.sqlite3")
    assert away.returncode == 1
    nowhere = f"{tmp_path}/nowhere/new.sqlite3"
    assert away.stderr == f"error: the database {nowhere} can't be used: its folder is not there or can't be written.\n"
    for done in (behind, away):
        assert len(done.stderr.splitlines()) == 1


def test_json_is_all_that_is_printed_on_stdout(manage: Any) -> None:
    done = manage("launch", "failing", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["run"] == Run.objects.get().uid


def test_a_reader_that_has_had_enough_is_no_error(manage: Any, database_url: str) -> None:
    queued()
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "manage.py", "runs", "list"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url},
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--count", "0"], "--count: 0 is not allowed: use 1 to 1000."),
        (["--count", "1000000"], "--count: 1000000 is not allowed: use 1 to 1000."),
        (["--grace", "-1"], "--grace: -1.0 is not allowed: use seconds, 0 or more."),
        (["--grace", "nan"], "--grace: nan is not allowed: use seconds, 0 or more."),
        (["--grace", "inf"], "--grace: inf is not allowed: use seconds, 0 or more."),
        (["--queue", "gpu", "--queue", "a b"], "--queue: 'a b' is not allowed: use letters, digits, '_', '.' and '-'."),
        (["--queue", ""], "--queue: '' is not allowed: use letters, digits, '_', '.' and '-'."),
    ],
)
def test_a_launcher_that_is_told_nonsense_says_so_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: str
) -> None:
    monkeypatch.setattr(Launcher, "run", lambda self: pytest.fail("it was started"))
    assert refused("worker", *arguments) == [line]


def test_wait_ends_with_the_run_and_exits_0_on_success(manage: Any, worker: None) -> None:
    done = manage("launch", "sized", "--param", "rows=3", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["state"] == "success"
    assert report["ended_at"] is not None
    run = Run.objects.get()
    assert (run.uid, run.state) == (report["run"], "success")
    check_engine()


def test_wait_exits_1_when_the_run_fails_and_names_the_error(manage: Any, worker: None) -> None:
    done = manage("launch", "failing", "--wait", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "failure"
    run = Run.objects.get()
    assert done.stderr.splitlines()[-1] == f"error: run {run.short} ended: failure; op fail: ValueError: first line"
    (op,) = read("runs", "show", run.uid)["ops"]
    assert (op["state"], op["attempt"], op["error"]) == ("failure", 1, "ValueError: first line")


def test_wait_shows_progress_on_a_terminal_and_ctrl_c_leaves_the_run_alone(database_url: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "launch", "failing", "--wait"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "CONTROLPLANE_MODULES": JOBS},
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    os.close(theirs)
    try:
        said = ""
        while "0 of 1 done" not in said:
            said += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        while "goes on" not in said:
            said += os.read(ours, 4096).decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    run = Run.objects.get()
    assert process.returncode == 1
    assert out == ""
    assert f"failing {run.short}: started, 0 of 1 done" in said
    assert f"not waiting any more; run {run.uid} goes on." in said
    assert "Traceback" not in said
    assert run.state == states.STARTED


# --- waiting, with and without Redis ----------------------------------------------------------------


def test_a_change_is_heard_and_others_are_not() -> None:
    with watch.Ear() as ear:
        tickets.announce({"run:6"})
        assert not ear.wait_for("run:5", 0.1)
        tickets.announce({"pools", "run:5"})
        assert ear.wait_for("run:5", 30)


def test_the_end_of_a_run_is_found_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis dies while somebody listens, the run ends unheard, and Redis is heard again when it is back."""
    import redis

    server = servers.Redis()
    try:
        client = redis.Redis.from_url(server.url, socket_timeout=1, socket_connect_timeout=1)
        monkeypatch.setattr(tickets, "_client", client)
        monkeypatch.setattr(tickets, "_silent_until", 0.0)
        run = queued()
        looks: list[str] = []

        def looked(seen: Run) -> None:
            looks.append(seen.state)
            if len(looks) == 1:
                server.kill()
            elif len(looks) == 2:
                say("runs", "cancel", run.uid)

        assert watch.until_over(run.pk, looked).state == states.CANCELED
        assert looks == ["queued", "queued", "canceled"]
        with watch.Ear() as ear:
            assert not ear.wait_for("run:5", 0.05)
            server.start()
            assert not ear.wait_for("run:5", 0.05)  # it listens again from here on
            client.publish(tickets.CHANGES, json.dumps(["run:5"]))
            assert ear.wait_for("run:5", 30)
    finally:
        server.stop()


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
