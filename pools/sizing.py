"""Changes how many slots exist: create, resize, pause, delete a pool, and the default limit.

Each verb is one transaction under the admission lock: it checks what it was told to expect, writes,
records the change in the ledger, and admits whoever now fits. Nobody who holds a slot is ever stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pools import claims, limits
from pools.models import Change, Pool, PoolSettings
from pools.rules import GateSpec


@dataclass(frozen=True)
class Author:
    """Who makes a change, by which door (page, cli, file), and why."""

    who: str
    door: str
    why: str = ""


class Conflict(Exception):
    """Somebody changed this since the reader looked. Nothing was written.

    `change` is the newest entry of its ledger, None if there is none.
    """

    def __init__(self, subject: str, version: int, current: object, change: Change | None) -> None:
        super().__init__(f"{subject} was changed since you looked: it is {_shown(current)} now.")
        self.subject, self.version, self.current, self.change = subject, version, current, change


class NoSuchPool(LookupError):
    """No pool has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no pool {name!r}.")


def set_limit(name: str, limit: object, author: Author, version: int | None = None) -> Pool:
    """Set a pool's limit, 0..100000; the pool is created if need be.

    `version` is what the reader saw; None does not care. Raises InvalidLimit, or Conflict when another
    change came between, unless it set the same limit.
    """
    name, number = limits.pool_name(name), limits.pool_limit(limit)
    with claims.desk() as desk:
        pool = _sight(desk, name)
        if version is not None and pool.version != version:
            if pool.limit == number:
                return pool
            raise Conflict(subject(name), pool.version, pool.limit, latest_change(subject(name)))
        if pool.limit != number:
            _update(pool, limit=number)
            desk.resize(pool.gate_id, number)
            record(desk, author, subject(name), "limit", _shown(pool.limit), _shown(number))
    pool.refresh_from_db()
    return pool


def describe(name: str, description: str, author: Author) -> Pool:
    """Say what a pool protects, in one line of at most 500 characters."""
    description = description.strip()[:500]
    with _existing(name) as (desk, pool):
        if pool.description != description:
            _update(pool, description=description)
            record(desk, author, subject(name), "description", pool.description[:300], description[:300])
    pool.refresh_from_db()
    return pool


def pause(name: str, author: Author) -> Pool:
    """Let nobody in until `resume`. The limit stays; the ledger keeps who and why. Pausing twice is harmless."""
    with _existing(name) as (desk, pool):
        if pool.paused_at is None:
            _update(pool, paused_at=desk.now, paused_by=author.who, pause_reason=author.why.strip()[:500])
            desk.pause(pool.gate_id, True)
            record(desk, author, subject(name), "paused", "no", "yes")
    pool.refresh_from_db()
    return pool


def resume(name: str, author: Author) -> Pool:
    """Let candidates in again. Resuming a pool that is not paused is harmless."""
    with _existing(name) as (desk, pool):
        if pool.paused_at is not None:
            _update(pool, paused_at=None, paused_by="", pause_reason="")
            desk.pause(pool.gate_id, False)
            record(desk, author, subject(name), "paused", "yes", "no")
    pool.refresh_from_db()
    return pool


def delete(name: str, author: Author) -> None:
    """Forget what people set for a pool: it falls back to the default limit and is not paused.

    Holders stay counted until they end. If nobody holds or waits, the pool is removed altogether; it
    comes back, true, when an op names it again. Raises NoSuchPool.
    """
    with _existing(name) as (desk, pool):
        record(desk, author, subject(name), "deleted", _shown(pool.limit), "")
        _update(pool, limit=None, description="", paused_at=None, paused_by="", pause_reason="")
        desk.pause(pool.gate_id, False)
        desk.resize(pool.gate_id, PoolSettings.objects.get().default_limit)
        if desk.is_idle(pool.gate_id):
            Pool.objects.filter(pk=pool.pk).delete()
            desk.remove_gate(pool.gate_id)


def set_default_limit(limit: object, author: Author, version: int | None = None) -> PoolSettings:
    """Set the limit of every pool that has none of its own; None makes them unlimited.

    Raises InvalidLimit, or Conflict as `set_limit` does.
    """
    number = None if limit is None else limits.pool_limit(limit, "default_limit")
    with claims.desk() as desk:
        settings = PoolSettings.objects.get()
        if version is not None and settings.version != version:
            if settings.default_limit == number:
                return settings
            raise Conflict(DEFAULT, settings.version, settings.default_limit, latest_change(DEFAULT))
        if settings.default_limit != number:
            PoolSettings.objects.filter(version=settings.version).update(
                default_limit=number, version=settings.version + 1
            )
            for gate_id in Pool.objects.filter(limit=None).values_list("gate_id", flat=True):
                desk.resize(gate_id, number)
            record(desk, author, DEFAULT, "default_limit", _shown(settings.default_limit), _shown(number))
    settings.refresh_from_db()
    return settings


DEFAULT = "pools"


def subject(name: str) -> str:
    """A pool's name in the ledger."""
    return f"pool:{name}"


def record(desk: claims.Desk, author: Author, subject: str, field: str, before: str, after: str) -> None:
    """Write a line of the ledger. Called in the transaction of the change, by whoever makes one."""
    Change.objects.create(
        at=desk.now,
        who=author.who,
        door=author.door,
        subject=subject,
        field=field,
        before=before,
        after=after,
        why=author.why.strip()[:500],
    )
    desk.topics.add("changes")


def latest_change(subject: str) -> Change | None:
    """The newest line of the ledger about something."""
    return Change.objects.filter(subject=subject).order_by("-id").first()


@contextmanager
def _existing(name: str) -> Iterator[tuple[claims.Desk, Pool]]:
    with claims.desk() as desk:
        pool = Pool.objects.filter(name=name).first()
        if pool is None:
            raise NoSuchPool(name)
        yield desk, pool


def _sight(desk: claims.Desk, name: str) -> Pool:
    """The pool of this name; it is born if nobody has named it yet."""
    desk.open_gates([pool_gate(name)])
    return Pool.objects.get(name=name)


def pool_gate(name: str) -> GateSpec:
    """The gate of a pool."""
    return GateSpec(kind="pool", key=subject(name), label=name)


def _update(pool: Pool, **values: object) -> None:
    """Write over exactly the version that was read. Under the admission lock it can't have moved."""
    changed = Pool.objects.filter(pk=pool.pk, version=pool.version).update(version=pool.version + 1, **values)
    if not changed:
        raise Conflict(subject(pool.name), pool.version, pool.limit, None)


def _shown(limit: object) -> str:
    return "none" if limit is None else str(limit)
