"""A deployment's processes, as somebody would start them: `manage.py worker` and `manage.py clock`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from runs import catalog, launch
from runs.models import Op, Run, Worker
from tests.builders import launched_run
from tests.servers import wait_for

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds after which something that takes one counts as failed


class Process:
    """A process of the deployment. Stopped at the end of the test, whatever happened, with all its children."""

    def __init__(self, *command: str, database_url: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": database_url,
                "DJANGO_SETTINGS_MODULE": "controlplane.settings",
                **(env or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""
        self._family: set[psutil.Process] = set()

    @property
    def pid(self) -> int:
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """It and all the processes that it or its children started and that are still there."""
        try:
            self._family.update(psutil.Process(self.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            pass
        return [process for process in self._family if _lives(process)]

    def terminate(self, seconds: float = PATIENCE) -> int:
        """SIGTERM; returns its exit status."""
        self.family()
        self.process.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, to it alone."""
        self.family()
        self.process.kill()
        self.wait(PATIENCE)

    def wait(self, seconds: float) -> int:
        text, _ = self.process.communicate(timeout=seconds)
        self.output += text.decode(errors="replace")
        return self.process.returncode

    def close(self) -> None:
        self.family()
        for process in (psutil.Process(self.pid) if self.process.poll() is None else None, *self._family):
            if process is not None and _lives(process):
                process.kill()
        self.process.communicate()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_there(pid: int) -> bool:
    """Whether a process lives."""
    try:
        return _lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


class Deployment:
    """Launchers and the runs that they work on."""

    def __init__(self, database_url: str, folder: Path, **env: str) -> None:
        self.database_url, self.folder, self.env = database_url, folder, env
        self.processes: list[Process] = []

    def worker(self, count: int = 2, grace: float = 0.0, env: Mapping[str, str] | None = None) -> Process:
        """A launcher with so many workers, once they are counted as alive and their processes are known."""
        known = list(Worker.objects.values_list("id", flat=True))
        process = self._start("worker", "--count", str(count), "--grace", str(grace), env=env)
        born = Worker.objects.filter(pid__isnull=False).exclude(pk__in=known)
        wait_for(
            lambda: born.count() == count or process.process.poll() is not None,
            "the workers were not counted",
            PATIENCE,
        )
        assert process.process.poll() is None, process.process.communicate()[0]
        return process

    def clock(self) -> Process:
        return self._start("clock")

    def _start(self, *command: str, env: Mapping[str, str] | None = None) -> Process:
        self.processes.append(Process(*command, database_url=self.database_url, env={**self.env, **(env or {})}))
        return self.processes[-1]

    def launch(self, name: str, **how: object) -> Run:
        """A run of a job of tests.jobs that waits in this test's folder, if it does."""
        job = launch.find_job(catalog.current(), name)
        values = (
            {"folder": str(self.folder)} if job.params is not None and "folder" in job.params.__annotations__ else {}
        )
        return launched_run(job, values=values, **how)

    def noted(self, what: str, seconds: float = PATIENCE) -> int:
        """Wait for an op's note, such as "started-waits-1"; returns the pid of the op's process."""
        path = self.folder / what
        wait_for(path.exists, f"no {what}; there are {sorted(p.name for p in self.folder.iterdir())}", seconds)
        return int(path.read_text())

    def go(self) -> None:
        """Let the ops go that wait for it."""
        (self.folder / "go").touch()

    def close(self) -> None:
        self.go()
        for process in self.processes:
            process.close()


def ends(run: Run, state: str, seconds: float = PATIENCE) -> Run:
    """Wait for the end of a run, which must be in this state."""

    def is_over() -> bool:
        run.refresh_from_db()
        return run.over

    wait_for(is_over, f"run {run.pk} does not end", seconds)
    found = list(Op.objects.filter(run=run).values_list("key", "state", "error"))
    assert run.state == state, f"run {run.pk} ended {run.state}: {found}"
    return run


def seconds_since(moment: float) -> float:
    return time.monotonic() - moment
