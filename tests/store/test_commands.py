"""The command line: exit status, the one line on stderr, and waiting for a run's end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runs import states, tickets, watch
from runs.launcher import Launcher
from runs.models import Run
from tests import servers
from tests.house.code import ROOT
from tests.invariants import check_engine
from tests.store.commands import JOBS, queued, read, refused, say

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "command_jobs")]


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
