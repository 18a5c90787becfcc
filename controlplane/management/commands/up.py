"""`manage.py up`: everything on one machine, by one command."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection

from controlplane import private_redis
from controlplane.cli import first_line
from controlplane.dashboard import login_links
from controlplane.supervisor import Child, Supervisor
from runs.launcher import Launcher
from runs.management.commands.clock import run_clock
from runs.management.commands.worker import wanted_queues
from runs.management.plain_command import PlainCommand
from runs.signals import WakeUps

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class Command(PlainCommand):
    help = "Set up the database, then run the web server, the workers and the clock until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=4, help="how many ops run at once here (default 4)")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--queue", action="append", help="an RQ queue to work for (default: default)")
        parser.add_argument("--no-demo", action="store_true", help="launch nothing on a new data folder")

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        options["queue"] = wanted_queues(options["queue"])
        if not 1 <= options["workers"] <= 1000:
            raise CommandError(f"--workers: {options['workers']} is not allowed: use 1 to 1000.")
        if not 1 <= port <= 65535:
            raise CommandError(f"--port: {port} is not allowed: use 1 to 65535.")
        if not host:
            raise CommandError("--host: '' is not allowed: use an address of this machine, 0.0.0.0 for all of them.")
        check_modules()
        _check_port(host, port)
        kept = _claim_data_folder()
        is_new = not connection.introspection.table_names()  # and the database answers

        names = _names(host)
        settings.ALLOWED_HOSTS += [name for name in names if name not in settings.ALLOWED_HOSTS]
        self._stopped = False
        supervisor = Supervisor()
        with WakeUps(signal.SIGCHLD) as wake_ups:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._on_stop)
            try:
                web = self._start(supervisor, options, is_new)
                if problem := why_not_serving(supervisor, web, host, port, lambda: self._stopped):
                    raise CommandError(f"{problem}.")
                if not self._stopped:
                    address, *others = [f"http://{name}:{port}" for name in names]
                    also = "".join(f", {other}/" for other in others)
                    self.stdout.write(f"\nSluice is up at {address}/{also}  (Ctrl-C stops it)")
                    self.stdout.write(f"Sign in once with {login_links.make('admin', address)}\n")
                    self.stdout.flush()
                connection.close()
                supervisor.run(wake_ups, lambda: self._stopped)
            finally:
                supervisor.stop()
                os.close(kept) if kept is not None else None
        self.stdout.write("Stopped.")

    def _start(self, supervisor: Supervisor, options: dict[str, Any], is_new: bool) -> Child:
        """Start everything. Returns the web server, which may not answer yet."""
        try:
            if settings.PRIVATE_REDIS_SOCKET is not None:
                path, folder = settings.PRIVATE_REDIS_SOCKET, Path(settings.DATA_DIR or ".")
                private_redis.prepare(path)
                private_redis.binary()
                supervisor.start(Child("redis", lambda: private_redis.serve(path, folder), stops_last=True))
            private_redis.wait_until_it_answers(settings.REDIS_URL, 10.0 if settings.PRIVATE_REDIS_SOCKET else 2.0)
        except private_redis.NoRedis as error:
            raise CommandError(str(error)) from error
        if is_new:
            self.stdout.write("Setting up a new database …")
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except DatabaseError as error:
            raise CommandError(f"the database can't be set up: {first_line(error)}") from error
        call_command("collectstatic", verbosity=0, interactive=False)
        # The user comes last: while there is none, a first start was not completed.
        if not options["no_demo"] and not get_user_model().objects.exists():
            from controlplane.demo import launch_demo

            launch_demo()
        login_links.ensure_user("admin")
        queues = dict.fromkeys(options["queue"], options["workers"])
        web = supervisor.start(Child("web", lambda: _serve(options["host"], options["port"])))
        supervisor.start(Child("workers", lambda: Launcher(queues, grace=0.0).run()))
        supervisor.start(Child("clock", run_clock))
        return web

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stopped = True


def _serve(host: str, port: int) -> None:
    uvicorn.run(
        "controlplane.asgi:application",
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )


def _names(host: str) -> list[str]:
    """Under which names the page is reached, as they stand in its address; the first one from this machine."""
    if host in ANY_ADDRESS:
        return [ANY_ADDRESS[host], socket.gethostname().lower()]
    return [f"[{host}]" if ":" in host else host]


def check_modules() -> None:
    """Raise CommandError for a module that is not there. One that breaks is there: the page shows how."""
    for name in settings.CONTROLPLANE_MODULES:
        if not all(name.split(".")):
            raise CommandError(f"CONTROLPLANE_MODULES: {name!r} is not allowed: use a module's full name, as in a.b.")
        try:
            is_there = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError as error:
            # a package on the way to it may be there and need another that is not
            is_there = not f"{name}.".startswith(f"{error.name}.")
        except KeyboardInterrupt:
            raise
        except BaseException:
            is_there = True
        if not is_there:
            raise CommandError(f"CONTROLPLANE_MODULES: there is no module {name!r}.")


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CommandError(f"port {port} on {host} can't be used: {error}; choose another with --port.") from error


def _claim_data_folder() -> int | None:
    """Make sure that one `up` at a time uses a data folder. Returns the lock to keep."""
    if settings.DATA_DIR is None:
        return None
    path = settings.DATA_DIR / "up.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"the lock {path} can't be used: {error}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CommandError(f"another `up` is running with the data folder {settings.DATA_DIR}.") from None
    return lock


def why_not_serving(
    supervisor: Supervisor, web: Child, host: str, port: int, stopped: Callable[[], bool], seconds: float = 15.0
) -> str | None:
    """Wait until the web server answers. Returns None when it does, or when we are told to stop; else what is wrong."""
    deadline = time.monotonic() + seconds
    while not stopped():
        if supervisor.has_ended(web):
            return "the web server ended before it answered"
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.settimeout(1)
            if probe.connect_ex((host if host != "0.0.0.0" else "127.0.0.1", port)) == 0:
                return None
        if time.monotonic() > deadline:
            return f"the web server did not answer within {seconds:.0f} seconds"
        time.sleep(0.02)
    return None
