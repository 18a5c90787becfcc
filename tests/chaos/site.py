"""A deployment under chaos: its own Redis and database, two launchers of two workers each, and a clock.

What dies is started again, as systemd or Kubernetes would, unless a fault keeps it down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests import servers
from tests.chaos import jobs, trace

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = 2
WORKERS_EACH = 2
WORKERS = LAUNCHERS * WORKERS_EACH
GRACE = 2.0  # seconds that running ops get when a launcher is told to stop
RESTART_AFTER = 0.2  # seconds after which what died is started again


class Part:
    """A process of the deployment that is kept running."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name, self._command, self._log = name, command, log
        self.down = False  # a fault keeps it from being started again
        self.moves = 0  # how often it came back elsewhere
        self._died = 0.0
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", *self._command],
                cwd=ROOT,
                env={**os.environ, "CHAOS_PLACE": f"{self.name}, place {self.moves}"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._died = 0.0

    def keep(self) -> None:
        """Start it again if it has died."""
        if self.process.poll() is None:
            return
        self._died = self._died or time.monotonic()
        if not self.down and time.monotonic() - self._died >= RESTART_AFTER:
            self.start()

    def children(self, recursive: bool = False) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=recursive)
        except psutil.NoSuchProcess:
            return []


class Site:
    """The parts of a deployment, from the first start to the last stop."""

    def __init__(self, database: str, lease: float, folder: Path) -> None:
        self.database, self.lease, self.folder = database, lease, folder
        self.trace = folder / "trace"
        (folder / "redis").mkdir()
        self.redis = servers.Redis(append_only=True, folder=str(folder / "redis"))
        self.postgres = servers.Postgres(durable=True) if database == "postgres" else None
        self.parts: list[Part] = []
        os.environ.pop("SECRET_KEY", None)
        os.environ.update(
            {
                "CONTROLPLANE_DATA": str(folder),
                "CONTROLPLANE_MODULES": jobs.__name__,
                "DATABASE_URL": self.postgres.url if self.postgres else f"sqlite:///{folder}/sluice.sqlite3",
                "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
                "REDIS_URL": self.redis.url,
                "CHAOS_LEASE": str(lease),
                "CRASH_RETRIES": "1",
                trace.VARIABLE: str(self.trace),
            }
        )

    def prepare(self) -> None:
        """Set Django up in this process, and the database with its witness."""
        import django

        django.setup()
        from django.core.management import call_command

        from tests.chaos import ledger

        call_command("migrate", verbosity=0, interactive=False)
        ledger.install()

    def start(self) -> None:
        worker = ["worker", "--count", str(WORKERS_EACH), "--grace", str(GRACE)]
        for number in range(1, LAUNCHERS + 1):
            self.parts.append(Part(f"launcher {number}", worker, self.folder / f"launcher-{number}.log"))
        self.parts.append(Part("clock", ["clock"], self.folder / "clock.log"))

    @property
    def launchers(self) -> list[Part]:
        return self.parts[:-1]

    @property
    def clock(self) -> Part:
        return self.parts[-1]

    def keep(self) -> None:
        for part in self.parts:
            part.keep()

    def workers(self) -> list[psutil.Process]:
        return [worker for launcher in self.launchers for worker in launcher.children()]

    def stop(self) -> list[str]:
        """Stop all parts in order. Returns what went wrong."""
        problems = []
        for part in self.parts:
            part.down = True
            if part.process.poll() is None:
                part.process.terminate()
        for part in self.parts:
            try:
                status = part.process.wait(GRACE + 20)
                if status:
                    problems.append(f"the {part.name} ended with {status} when it was told to stop")
            except subprocess.TimeoutExpired:
                problems.append(f"the {part.name} did not stop")
        return problems

    def close(self) -> None:
        """End whatever is left, at once."""
        for part in self.parts:
            for process in part.children(recursive=True):
                send(process, signal.SIGKILL)
            if part.process.poll() is None:
                part.process.kill()
                part.process.wait()
        self.redis.process.send_signal(signal.SIGCONT)
        self.redis.stop()
        if self.postgres:
            from django.db import connections

            connections.close_all()
            self.postgres.stop()


def horses_of(workers: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that run ops for these workers."""
    found: list[psutil.Process] = []
    for worker in workers:
        try:
            found += [child for child in worker.children() if child.status() != psutil.STATUS_ZOMBIE]
        except psutil.NoSuchProcess:
            continue
    return found


def send(process: psutil.Process, what: signal.Signals) -> None:
    try:
        process.send_signal(what)
    except psutil.NoSuchProcess:
        pass
