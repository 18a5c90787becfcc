"""`manage.py launch` and `runs`: what each changes and prints, and what it refuses."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from pools import sizing
from runs import catalog, launch, run_limits, states, workforce
from runs.models import Op, Run
from runs.tag_limits import TagLimit
from tests.store.commands import SOMEBODY, me, queued, read, refused, say

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "command_jobs")]


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
