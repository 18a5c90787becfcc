"""The database restarts, or is away for a moment: workers wait and go on, and nobody's work is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from runs import logs
from runs.models import LogLine
from runs.transitions import ending
from tests.builders import admitted_op, perform, start, state_of
from tests.concurrency.deployments import PATIENCE, Process, is_there
from tests.plugin import DATABASE
from tests.processes import in_a_process
from tests.servers import Postgres, wait_for

pytestmark = pytest.mark.skipif(DATABASE != "postgres", reason="SQLite is never away")


class Site:
    """A deployment with a PostgreSQL of its own, which may stop."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.server = folder, Postgres()
        self.processes: list[Process] = []
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *command: str) -> None:
        process = Process(*command, database_url=self.server.url)
        assert process.wait(PATIENCE) == 0, process.output

    def start(self, *command: str) -> Process:
        self.processes.append(Process(*command, database_url=self.server.url))
        return self.processes[-1]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.url, connect_timeout=5) as connection:
            return connection.execute(sql).fetchall()

    def note(self, name: str) -> Path:
        path = self.folder / name
        wait_for(path.exists, f"no {name}", PATIENCE)
        return path

    def close(self) -> None:
        (self.folder / "go").touch()
        for process in self.processes:
            process.close()
        self.server.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_an_op_that_runs_while_the_database_restarts_ends_well(site):
    site.start("worker", "--count", "1")
    site.start("clock")
    site.manage("launch", "one_waits", "--param", f"folder={site.folder}")
    site.note("started-waits-1")
    site.server.halt()
    (site.folder / "go").touch()
    site.note("ended-waits-1")
    site.server.start()
    wait_for(lambda: site.ask("SELECT state FROM runs_run") == [("success",)], "the run does not end", PATIENCE)
    assert site.ask("SELECT state, attempt FROM runs_op") == [("success", 1)]
    assert site.ask("SELECT count(*) FROM pools_hold") == [(0,)]
    site.manage("launch", "one_op", "--wait")


def test_a_worker_that_dies_while_the_database_is_away_is_counted_out_and_replaced(site):
    site.start("worker", "--count", "2")
    alive = "SELECT pid FROM runs_worker WHERE pid IS NOT NULL ORDER BY id"
    wait_for(lambda: len(site.ask(alive)) == 2, "the workers are not counted", PATIENCE)
    before = {pid for (pid,) in site.ask(alive)}
    victim = min(before)
    site.server.halt()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not is_there(victim), "it lives on")
    site.server.start()

    def two_live() -> bool:
        pids = {pid for (pid,) in site.ask(alive)}
        return len(pids) == 2 and victim not in pids and all(map(is_there, pids))

    wait_for(two_live, "the dead worker is still counted, or nobody took its place", PATIENCE)
    assert site.ask("SELECT \"limit\" FROM pools_gate WHERE key = 'workers:default'") == [(2,)]


def test_a_launcher_that_wants_to_start_a_worker_while_the_database_is_away_keeps_calm(site):
    launcher = site.start("worker", "--count", "1")
    alive = "SELECT pid FROM runs_worker WHERE pid IS NOT NULL"
    wait_for(lambda: len(site.ask(alive)) == 1, "the worker is not counted", PATIENCE)
    ((victim,),) = site.ask(alive)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not site.ask(alive), "the dead worker is still counted", PATIENCE)
    site.server.halt()
    time.sleep(2)  # the outage
    site.server.start()
    wait_for(lambda: len(site.ask(alive)) == 1, "nobody took its place", PATIENCE)
    assert launcher.terminate() == 0
    assert launcher.output.count("did not answer") < 20, launcher.output


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("checked")
def test_what_an_op_says_while_its_connection_is_cut_is_kept():
    op = admitted_op()
    attempt = start(op)
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"

    def says() -> None:
        with logs.capture(attempt) as logger:
            logger.info("before")
            wait_for(LogLine.objects.exists, "nothing is written")
            connection.cursor().execute(ours, [connection.connection.info.backend_pid])
            logger.info("after")

    in_a_process(says)
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == ["before", "after"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("checked")
def test_an_op_whose_process_was_frozen_while_it_told_of_its_end_ends_well(monkeypatch):
    """A paused container, say: PostgreSQL ends a transaction that is idle for long, as others wait for its locks."""
    op = admitted_op()
    real, thawed = ending._end_attempt, []

    def freezes_once(*of: Any) -> None:
        if not thawed:
            thawed.append(True)
            connection.cursor().execute("SET idle_in_transaction_session_timeout = '50ms'")
            time.sleep(0.3)  # the frost
        real(*of)

    monkeypatch.setattr(ending, "_end_attempt", freezes_once)
    assert perform(op.pk, op.token or 0).verdict is not None
    assert thawed
    assert state_of(op.run) == "failure"  # the code of this op is not there: a verdict like any other
