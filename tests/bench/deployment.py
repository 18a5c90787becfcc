"""One deployment to measure: a fresh database, a Redis, and `manage.py worker` and `manage.py clock` as processes.

This process launches the runs and looks at the tables; the work is done by the workers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import servers
from tests.bench import bare, cpu, jobs, trace
from tests.bench.hosts import HERE, Host

ROOT = Path(__file__).resolve().parents[2]
SHOP = ("tests.screenshots.shop",)  # modules of jobs that are looked at, and not carried out


@dataclass
class Deployment:
    """A database of one kind and a Redis. Django is set up on it in this process."""

    database: str
    folder: Path
    redis: servers.Redis
    postgres: servers.Postgres | None
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def workers(
        self, count: int, modules: tuple[str, ...] = (), hosts: Sequence[Host] = (HERE,), **settings: str
    ) -> Iterator[Workers]:
        """Workers of ours, as many on each host, idle and ready, and a trace of their own."""
        path, environment = self.new_trace()
        environment |= settings
        environment["CONTROLPLANE_MODULES"] = ",".join([*modules, jobs.__name__])
        worker = ["worker", "--count", str(count // len(hosts)), "--grace", "2"]
        started = [
            subprocess.Popen(
                host.command([sys.executable, "manage.py", *command]), cwd=ROOT, env=host.environment(environment)
            )
            for host, command in [*((host, worker) for host in hosts), (HERE, ["clock"])]
        ]
        try:
            bare.wait_until_idle(self.redis.url, "default", count)
            yield Workers(self, path, [process.pid for process in started], environment)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(20)

    def new_trace(self) -> tuple[Path, dict[str, str]]:
        """An empty trace, and the environment of processes that shall write to it."""
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="trace-")
        os.close(handle)
        return Path(name), self.environment | {trace.VARIABLE: name}

    @property
    def server_pids(self) -> dict[str, list[int]]:
        """The servers' processes, by what they are."""
        return {"redis": [self.redis.process.pid], "database": [self.postgres.process.pid] if self.postgres else []}


@dataclass(frozen=True)
class Workers:
    """Workers of a deployment, with the trace that their ops write and the environment that they see."""

    deployment: Deployment
    trace: Path
    pids: list[int]
    environment: dict[str, str]

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far: of our processes, of Redis, of the database."""
        servers = {name: cpu.seconds(pids) for name, pids in self.deployment.server_pids.items()}
        return {"ours": cpu.seconds(self.pids), **servers}


@contextmanager
def opened(
    database: str, addresses: Sequence[str] = (), modules: Sequence[str] = (jobs.__name__,)
) -> Iterator[Deployment]:
    """Start the servers, point Django in this process at them, and migrate. They listen at `addresses` as well."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    redis = servers.Redis(append_only=True, addresses=addresses)
    postgres = servers.Postgres(durable=True, addresses=addresses) if database == "postgres" else None
    try:
        os.environ.pop("SECRET_KEY", None)
        os.environ.update(
            CONTROLPLANE_DATA=str(folder),
            CONTROLPLANE_MODULES=",".join(modules),
            DATABASE_URL=postgres.url if postgres else f"sqlite:///{folder}/sluice.sqlite3",
            DJANGO_SETTINGS_MODULE="controlplane.settings",
            LOG_LEVEL="WARNING",
            REDIS_URL=redis.url,
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        yield Deployment(database, folder, redis, postgres, dict(os.environ))
    finally:
        if postgres:
            from django.db import connections

            connections.close_all()
            postgres.stop()
        redis.stop()
        shutil.rmtree(folder, ignore_errors=True)
