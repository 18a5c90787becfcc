"""A whole deployment, started as a newcomer would: `manage.py up` on a data folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers import free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent


class Deployment:
    """`manage.py up` in a process of its own. Unless it is to be new, it finds the tables there and nothing in them."""

    def __init__(
        self, *arguments: str, folder: str | None = None, port: int = 0, is_new: bool = False, **environment: str
    ) -> None:
        self.folder = folder or tempfile.mkdtemp(prefix="sluice-up-")
        if not is_new:
            lay_tables(self.folder)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = own_environment(self.folder, **environment)
        self.output = ""
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(self.port), *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.output += line

    def wait_until_up(self, seconds: float = 60.0) -> Deployment:
        def is_up() -> bool:
            assert self.process.poll() is None, self.output
            return "/login/" in self.output

        wait_for(is_up, f"it did not come up:\n{self.output}", seconds)
        self.took = time.monotonic() - self.began
        return self

    @property
    def printed_link(self) -> str:
        """The login link that `up` printed."""
        return re.search(r"http://\S+/login/\S+", self.output)[0]  # type: ignore[index]

    def manage(self, *arguments: str) -> str:
        """What a command prints. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def login_link(self) -> str:
        return self.manage("login_link", "--address", self.url).strip()

    def launch(self, *arguments: str) -> str:
        """Launch by the command line; returns the run's uid."""
        return json.loads(self.manage("launch", *arguments, "--json"))["run"]

    def runs(self) -> list[dict[str, Any]]:
        return json.loads(self.manage("runs", "list", "--json"))

    def ask(self, sql: str) -> list[tuple]:
        """Read the SQLite database from outside."""
        import sqlite3

        with sqlite3.connect(f"file:{self.folder}/sluice.sqlite3?mode=ro", uri=True) as database:
            return database.execute(sql).fetchall()

    def stop(self, by: signal.Signals = signal.SIGINT) -> float:
        """Stop it; returns the seconds that it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(by)
            self.process.wait(30)
        return time.monotonic() - began


def lay_tables(folder: str) -> None:
    """Put a database as migrations leave it into a folder that has none."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    database = Path(folder, "sluice.sqlite3")
    if not database.exists():
        database.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    """Made once: it takes as long as all the rest of a start."""
    with tempfile.TemporaryDirectory(prefix="sluice-tables-") as folder:
        command = [sys.executable, "manage.py", "migrate", "-v", "0"]
        subprocess.run(command, cwd=ROOT, env=own_environment(folder), check=True)
        return Path(folder, "sluice.sqlite3").read_bytes()


def own_environment(folder: str, **more: str) -> dict[str, str]:
    """The environment of a newcomer: nothing set but the data folder."""
    ours = (
        "DATABASE_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "CONTROLPLANE_MODULES",
        "DJANGO_SETTINGS_MODULE",
        "ALLOWED_HOSTS",
    )
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return {**clean, "CONTROLPLANE_DATA": folder, "PYTHONUNBUFFERED": "1", **more}
