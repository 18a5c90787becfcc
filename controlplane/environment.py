"""Makes settings of what stands in the environment, or says in one line, as ImproperlyConfigured, what is wrong.

Which variables there are and what they are used for is said in `controlplane.settings`.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import zoneinfo
from hashlib import sha256
from pathlib import Path
from typing import Any

import dj_database_url
import redis
from django.core.exceptions import ImproperlyConfigured

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY",
}
# Nobody may sit in a transaction or wait for a lock for long: admission has one lock for all.
# The time zone is said here, because a connection that begins with another one asks for it.
POSTGRES_OPTIONS = "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=2000 -c timezone=UTC"
# Options that Django takes for itself; the driver knows the others.
DJANGOS_OPTIONS = {"assume_role", "isolation_level", "pool", "server_side_binding", "service", "passfile"}


def data_folder(name: str) -> Path | None:
    """The folder that holds everything this deployment keeps on disk; None when set to nothing."""
    if not name:
        return None
    try:
        folder = Path(name).expanduser()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ImproperlyConfigured(f"CONTROLPLANE_DATA: the folder {name} can't be made: {error}") from error


def time_zone(name: str) -> str:
    """`name`, if it is a time zone's."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(f"TIME_ZONE: {name!r} is no time zone; write it like Europe/Zurich.") from None
    return name


def kept_secret(folder: Path) -> str:
    """The secret key in `folder`, made on first use.

    Several processes may start at once: each writes a file of its own and links it into place, so all
    of them read the same key and none reads half of one.
    """
    path = folder / "secret_key"
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"the secret key {path} can't be used: {error}") from error
    if not secret:
        raise ImproperlyConfigured(f"the secret key {path} is empty: write one, or delete the file to have one made.")
    return secret


def _make_secret(path: Path) -> None:
    handle, mine = tempfile.mkstemp(dir=path.parent, prefix=".secret_key-")
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(mine, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(mine)


def database(url: str, folder: Path | None) -> dict[str, Any]:
    """The database at an address; without one, a SQLite database in the data folder."""
    if url:
        try:
            found: dict[str, Any] = {**dj_database_url.parse(url)}
        except (ValueError, dj_database_url.UnknownSchemeError, dj_database_url.ParseError) as error:
            raise ImproperlyConfigured(f"DATABASE_URL: {error}") from error
    elif folder:
        found = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "sluice.sqlite3")}
    else:
        raise ImproperlyConfigured(
            "Set DATABASE_URL, or CONTROLPLANE_DATA to the folder that shall hold a SQLite database."
        )
    match found["ENGINE"]:
        case "django.db.backends.sqlite3":
            return _sqlite(found)
        case "django.db.backends.postgresql":
            return _postgres(found)
    raise ImproperlyConfigured("DATABASE_URL: use a sqlite:///… or a postgresql://… address.")


def _sqlite(found: dict[str, Any]) -> dict[str, Any]:
    name = str(found["NAME"])
    if name in ("", ":memory:"):
        raise ImproperlyConfigured(
            "DATABASE_URL: a database in memory is none for several processes; use sqlite:////folder/file.sqlite3."
        )
    folder = Path(name).absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"the database {name} can't be used: its folder is not there or can't be written.")
    return {**found, "ENGINE": "controlplane.sqlite", "OPTIONS": SQLITE_OPTIONS}


def _postgres(found: dict[str, Any]) -> dict[str, Any]:
    import psycopg
    from psycopg.conninfo import make_conninfo

    theirs = found.get("OPTIONS", {})
    try:
        make_conninfo(**{name: value for name, value in theirs.items() if name not in DJANGOS_OPTIONS})
    except (psycopg.Error, TypeError) as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {error}") from error
    options = f"{POSTGRES_OPTIONS} {theirs.get('options', '')}".strip()
    return {**found, "OPTIONS": {"connect_timeout": 5, **theirs, "options": options}}


def private_socket(folder: Path) -> Path:
    """Where this deployment's own Redis listens.

    A unix socket's path has room for 107 bytes, and this one stands in an address (REDIS_URL), where
    some characters mean something else.
    """
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= 100 and re.fullmatch(r"[A-Za-z0-9_./+-]+", str(path)):
        return path
    short = sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sluice-{os.getuid()}-{short}" / "redis.sock"


def redis_url(url: str) -> str:
    """`url`, if it is a Redis's. A connection is made ready as it would be used, and not opened."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ImproperlyConfigured(f"REDIS_URL: {error}") from error
    return url
