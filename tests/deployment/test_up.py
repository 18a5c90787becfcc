"""`manage.py up`, as a newcomer starts and stops it, and what happens when a part of it dies.

Bounds on time are those of recovery, with a margin for a busy machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator

import psutil
import psycopg
import pytest

from controlplane.management.commands import up
from controlplane.supervisor import Child, Supervisor
from tests.deployments import ROOT, Deployment, lay_tables, own_environment
from tests.servers import Postgres, free_port, wait_for

MARGIN = 4.0  # seconds


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
def start(folder: str) -> Iterator[Callable[..., Deployment]]:
    started: list[Deployment] = []

    def begin(*arguments: str, is_new: bool = False, **environment: str) -> Deployment:
        environment = {"CONTROLPLANE_MODULES": "tests.deployment.napping", **environment}
        deployment = Deployment("--no-demo", *arguments, folder=folder, is_new=is_new, **environment).wait_until_up()
        started.append(deployment)
        return deployment

    yield begin
    for deployment in started:
        deployment.stop()


def family(deployment: Deployment) -> list[psutil.Process]:
    return psutil.Process(deployment.process.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def child(deployment: Deployment, number: int) -> psutil.Process:
    """A child of the supervisor, in the order in which they start: redis, web, workers, clock."""
    return sorted(psutil.Process(deployment.process.pid).children(), key=lambda process: process.create_time())[number]


def ops(deployment: Deployment) -> list[tuple]:
    return deployment.ask("SELECT key, state, attempt FROM runs_op ORDER BY id")


def in_state(deployment: Deployment, *states: str) -> Callable[[], bool]:
    return lambda: {state for _, state, _ in ops(deployment)} == set(states)


def test_ctrl_c_puts_running_ops_back_in_line_and_leaves_nothing(start, folder: str) -> None:
    first = start("--workers", "2")
    first.launch("naps")
    wait_for(in_state(first, "running"), "the ops do not run")
    processes = family(first)
    assert len(processes) >= 8, "redis, web, launcher, two workers, clock, two ops"
    assert first.stop(signal.SIGINT) < 5 + MARGIN
    assert first.process.returncode == 0
    assert "Stopped." in first.output
    assert "Traceback" not in first.output, first.output
    assert gone(processes)
    assert {(state, attempt) for _, state, attempt in ops(first)} == {("ready", 0)}

    second = start("--workers", "2")
    assert second.took < 5 + MARGIN
    wait_for(in_state(second, "running"), "the ops do not run again")
    assert {attempt for _, _, attempt in ops(second)} == {1}


def test_an_op_that_does_not_react_is_stopped_too(start) -> None:
    deployment = start("--workers", "1")
    deployment.launch("stubborn_job")
    wait_for(in_state(deployment, "running"), "the op does not run")
    processes = family(deployment)
    assert deployment.stop(signal.SIGTERM) < 5 + MARGIN
    assert gone(processes)
    assert ops(deployment) == [("stubborn", "ready", 0)]


def test_when_the_supervisor_is_killed_nothing_survives_it(start, folder: str) -> None:
    deployment = start("--workers", "1")
    deployment.launch("naps")
    wait_for(lambda: "running" in {state for _, state, _ in ops(deployment)}, "no op runs")
    processes = family(deployment)
    deployment.process.kill()
    deployment.process.wait()
    wait_for(lambda: gone(processes), "a process is left", 10)


@pytest.mark.parametrize("part", [0, 1, 2, 3], ids=["redis", "web", "workers", "clock"])
def test_a_part_that_dies_is_started_again(start, part: int) -> None:
    deployment = start("--workers", "2")
    victim = child(deployment, part)
    victim.kill()
    wait_for(
        lambda: len(psutil.Process(deployment.process.pid).children()) == 4 and not victim.is_running(), "not again"
    )
    wait_for(lambda: answers(deployment), "the page does not answer")
    deployment.launch("quick_job")
    wait_for(lambda: all(run["state"] == "success" for run in deployment.runs()), "the run does not end", 40)


def answers(deployment: Deployment) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", deployment.port)) == 0


# --- what can't start -------------------------------------------------------------------------------


def refused(folder: str, *arguments: str, **environment: str) -> str:
    """Start `up` where it can't; returns its one line on stderr."""
    before = {process.pid for process in psutil.process_iter()}
    done = subprocess.run(
        [sys.executable, "manage.py", "up", *arguments],
        cwd=ROOT,
        env=own_environment(folder, **environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    left = [p for p in psutil.process_iter() if p.pid not in before and folder in " ".join(_command(p))]
    assert not left, left
    return line


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_taken_port_is_said(folder: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} on 127.0.0.1 can't be used" in refused(folder, "--port", port)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CONTROLPLANE_MODULES": "tests.deployment.napping,no.such.module"}, "there is no module 'no.such.module'"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "the database did not answer"),
        ({"DATABASE_URL": "mysql://nobody@127.0.0.1/none"}, "sqlite:///"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis did not answer"),
        ({"DEBUG": "perhaps"}, "DEBUG"),
        ({"CONTROLPLANE_DATA": "", "DATABASE_URL": "sqlite:////tmp/x"}, "SECRET_KEY is not set"),
    ],
)
def test_what_can_not_start_says_why(folder: str, environment: dict[str, str], words: str) -> None:
    line = refused(folder, "--port", str(free_port()), **environment)
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "0"), "--port: 0 is not allowed: use 1 to 65535."),
        (("--port", "65536"), "--port: 65536 is not allowed"),
        (("--host", ""), "--host: '' is not allowed"),
        (("--host", "no such host"), "on no such host can't be used"),
        (("--queue", "a b"), "--queue: 'a b' is not allowed: use letters, digits, '_', '.' and '-'."),
        (("--workers", "0"), "--workers: 0 is not allowed"),
    ],
)
def test_an_argument_that_can_not_be_is_named(folder: str, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(folder, *arguments)


def test_a_lock_that_is_a_folder_is_said(folder: str) -> None:
    os.makedirs(os.path.join(folder, "up.lock"))
    assert "up.lock can't be used" in refused(folder, "--port", str(free_port()))


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("", ".jobs", "CONTROLPLANE_MODULES: '.jobs' is not allowed: use a module's full name, as in a.b."),
        ("", "odd..jobs", "CONTROLPLANE_MODULES: 'odd..jobs' is not allowed"),
        ("", "odd.jobs", "CONTROLPLANE_MODULES: there is no module 'odd.jobs'."),
    ],
)
def test_a_module_that_can_not_be_is_named(folder: str, tmp_path, source: str, name: str, said: str) -> None:
    package(tmp_path, source)
    environment = {"CONTROLPLANE_MODULES": name, "PYTHONPATH": str(tmp_path)}
    assert said in refused(folder, "--port", str(free_port()), **environment)


@pytest.mark.parametrize("source", ["import sys; sys.exit(0)", "import no_such_library", "raise GeneratorExit"])
def test_a_package_that_breaks_does_not_keep_it_from_starting(monkeypatch, settings, tmp_path, source: str) -> None:
    package(tmp_path, source)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings.CONTROLPLANE_MODULES = ["odd.jobs"]
    up.check_modules()


def package(folder, source: str) -> None:
    (folder / "odd").mkdir()
    (folder / "odd" / "__init__.py").write_text(source)


@pytest.mark.parametrize(("host", "link"), [("::1", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
def test_the_printed_link_works_for_any_host(start, host: str, link: str) -> None:
    deployment = start("--workers", "1", "--host", host)
    assert deployment.printed_link.startswith(f"http://{link}:{deployment.port}/login/")
    with urllib.request.urlopen(deployment.printed_link) as answer:
        assert answer.status == 200


def test_a_role_that_may_not_make_tables_is_said(folder: str) -> None:
    postgres = Postgres()
    try:
        with psycopg.connect(postgres.url, autocommit=True) as database:
            database.execute("CREATE ROLE reader LOGIN")
            database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        address = postgres.url.replace("sluice@", "reader@")
        line = refused(folder, "--port", str(free_port()), DATABASE_URL=address)
    finally:
        postgres.stop()
    assert "the database can't be set up: " in line
    assert "permission denied" in line


def test_a_web_server_that_does_not_come_up_is_not_said_to_be_up(folder: str, tmp_path) -> None:
    """As when the port is taken a moment after it was looked at."""
    (tmp_path / "uvicorn.py").write_text("def run(*where, **how):\n    raise SystemExit(1)\n")
    line = refused(folder, "--no-demo", "--port", str(free_port()), PYTHONPATH=str(tmp_path))
    assert line == "error: the web server ended before it answered."


def test_a_web_server_that_does_not_answer_in_time_is_given_up() -> None:
    supervisor = Supervisor()
    web = supervisor.start(Child("web", signal.pause))
    try:
        assert up.why_not_serving(supervisor, web, "127.0.0.1", free_port(), lambda: False, 0.3) == (
            "the web server did not answer within 0 seconds"
        )
        assert up.why_not_serving(supervisor, web, "127.0.0.1", free_port(), lambda: True, 30) is None
    finally:
        supervisor.stop()


def test_a_first_start_that_was_interrupted_is_made_up_for(folder: str) -> None:
    """Its database is there, but nothing is in it yet: the next start still shows the examples at work."""
    lay_tables(folder)
    deployment = Deployment("--workers", "1", folder=folder)
    try:
        assert len(deployment.wait_until_up().runs()) == 7
    finally:
        deployment.stop()
    again = Deployment("--workers", "1", folder=folder)
    try:
        assert len(again.wait_until_up().runs()) == 7
    finally:
        again.stop()


def test_one_data_folder_has_one_up(start, folder: str) -> None:
    start("--workers", "1")
    assert "another `up` is running" in refused(folder, "--port", str(free_port()))


def test_a_module_that_breaks_does_not_keep_it_from_starting(start, tmp_path) -> None:
    (tmp_path / "broken_jobs.py").write_text("import controlplane as dg\n\n@dg.op(pool='a b')\ndef bad(): ...\n")
    modules = {"CONTROLPLANE_MODULES": "broken_jobs,tests.deployment.napping", "PYTHONPATH": str(tmp_path)}
    deployment = start("--workers", "1", **modules)
    deployment.launch("quick_job", "--wait")


def test_private_things_are_private(start, folder: str) -> None:
    start("--workers", "1", is_new=True)
    for name in ("secret_key", "redis.sock"):
        assert os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0, name
    assert os.stat(folder).st_mode & 0o077 == 0


def test_a_long_data_folder_works(tmp_path) -> None:
    folder = str(tmp_path / ("d" * 100))
    deployment = Deployment(
        "--no-demo", "--workers", "1", folder=folder, is_new=True, CONTROLPLANE_MODULES="tests.deployment.napping"
    ).wait_until_up()
    try:
        deployment.launch("quick_job", "--wait")
    finally:
        deployment.stop()
        shutil.rmtree(folder)


def test_a_data_folder_may_have_any_name(tmp_path) -> None:
    """Its path stands in no address: what an address would read otherwise is just a name."""
    folder = str(tmp_path / "my data #1?mode=ro&x%41=é")
    deployment = Deployment(
        "--no-demo", "--workers", "1", folder=folder, is_new=True, CONTROLPLANE_MODULES="tests.deployment.napping"
    )
    try:
        deployment.wait_until_up().launch("quick_job", "--wait")
    finally:
        deployment.stop()
    assert os.path.exists(os.path.join(folder, "sluice.sqlite3"))


def test_after_a_hard_death_a_new_start_does_not_wait_for_leases(start, folder: str) -> None:
    """A launcher that starts where another was killed counts its workers out, and fails what they ran, at once."""
    first = start("--workers", "2")
    first.launch("naps")
    wait_for(in_state(first, "running"), "the ops do not run")
    processes = family(first)
    first.process.send_signal(
        signal.SIGSTOP
    )  # so that it starts nobody anew; if it died first, they would stop in order
    for process in processes:
        if process.is_running():
            process.kill()
    wait_for(lambda: gone(processes), "a process is left", 10)
    first.process.kill()
    first.process.wait()

    second = start("--workers", "2")
    wait_for(in_state(second, "failure"), "the ops of dead workers are not failed", 5 + MARGIN)
    assert second.ask("SELECT count(*) FROM runs_worker") == [(2,)]
    second.launch("quick_job", "--wait")
