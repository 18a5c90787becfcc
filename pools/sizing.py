"""Changes how many slots exist: create, resize, pause, delete a pool, and the default limit.

Each verb is one transaction under the admission lock: it checks what it was told to expect, writes,
records the change in the ledger, and admits whoever now fits. Nobody who holds a slot is ever stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max, QuerySet

from pools import claims, limits
from pools.models import Change, Pool, PoolSettings
from pools.rules import GateSpec, Pause


@dataclass(frozen=True)
class Author:
    """Who makes a change, by which door (page, cli, file), and why.

    With `reverts` the change undoes that one: it is made only if nothing newer was written about the same.
    `made` gets the lines of the ledger that were written for it.
    """

    who: str
    door: str
    why: str = ""
    reverts: Change | None = None
    made: list[Change] = field(default_factory=list, compare=False)


class Conflict(Exception):
    """Somebody changed this since the reader looked. Nothing was written.

    `change` is the newest entry of its ledger, None if there is none.
    """

    def __init__(self, subject: str, version: int, current: object, change: Change | None) -> None:
        super().__init__(f"{subject} was changed since you looked: it is {_shown(current)} now.")
        self.subject, self.version, self.current, self.change = subject, version, current, change


class Overtaken(Conflict):
    """A change can't be undone, for `change` about the same came after it. Nothing was written."""

    def __init__(self, old: Change, newer: Change) -> None:
        super().__init__(old.subject, 0, newer.after, newer)
        self.old = old
        what = "undone" if newer.reverts_id == old.pk else "overtaken"
        self.args = (f"Change {old.pk} can't be undone: it was {what} by change {newer.pk}, made by {newer.who}.",)


class NoSuchPool(LookupError):
    """No pool has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no pool {name!r}.")


class AlreadyPaused(Exception):
    """A pool is paused already. Nothing was written; `pauses.change` gives its pause another reason and end."""

    def __init__(self, pool: Pool) -> None:
        said = Pause(pool.paused_by, pool.paused_until, pool.pause_reason).in_words
        super().__init__(f"{pool.name} is paused already{said}.")
        self.pool = pool


def set_limit(name: str, limit: object, author: Author, version: int | None = None) -> Pool:
    """Set a pool's limit, 0..100000; the pool is created if need be.

    `version` is what the reader saw; None does not care. Raises InvalidLimit, or Conflict when another
    change came between, unless it set the same limit.
    """
    name, number = limits.pool_name(name), limits.pool_limit(limit)
    with claims.desk() as desk:
        pool = sight(desk, name)
        if version is not None and pool.version != version:
            if pool.limit == number:
                return pool
            raise Conflict(subject(name), pool.version, pool.limit, latest_change(subject(name), "limit"))
        if pool.limit != number:
            update(pool, limit=number)
            desk.resize(pool.gate_id, number)
            record(desk, author, subject(name), "limit", _shown(pool.limit), _shown(number))
    pool.refresh_from_db()
    return pool


def unset_limit(name: str, author: Author) -> Pool:
    """Take a pool's own limit away: it takes the default limit. What else was set for it stays. Raises NoSuchPool."""
    with existing(name) as (desk, pool):
        if pool.limit is not None:
            update(pool, limit=None)
            desk.resize(pool.gate_id, PoolSettings.objects.get().default_limit)
            record(desk, author, subject(name), "limit", _shown(pool.limit), _shown(None))
    pool.refresh_from_db()
    return pool


def describe(name: str, description: str, author: Author) -> Pool:
    """Say what a pool protects, in one line of at most 500 characters."""
    description = description.strip()[:500]
    with existing(name) as (desk, pool):
        if pool.description != description:
            update(pool, description=description)
            record(desk, author, subject(name), "description", pool.description, description)
    pool.refresh_from_db()
    return pool


def pause(name: str, author: Author, until: datetime | None = None) -> Pool:
    """Let nobody in until `resume`, or until a time at which the clock resumes it (`pauses.end_due`).

    The limit stays; the ledger keeps who, why and until when. Raises NoSuchPool, and AlreadyPaused: the pause stands.
    """
    with existing(name) as (desk, pool):
        if pool.paused_at is not None:
            raise AlreadyPaused(pool)
        reason = author.why.strip()[:500]
        update(pool, paused_at=desk.now, paused_by=author.who, pause_reason=reason, paused_until=until)
        desk.pause(pool.gate_id, True)
        record(desk, author, subject(name), "paused", "no", "yes", until_in_ledger(until))
    pool.refresh_from_db()
    return pool


def resume(name: str, author: Author) -> Pool:
    """Let candidates in again. Resuming a pool that is not paused is harmless."""
    with existing(name) as (desk, pool):
        end_pause(desk, pool, author)
    pool.refresh_from_db()
    return pool


def end_pause(desk: claims.Desk, pool: Pool, author: Author) -> None:
    """Let candidates in again at a pool that was read at this desk. Harmless if it is not paused."""
    if pool.paused_at is not None:
        update(pool, **NOT_PAUSED)
        desk.pause(pool.gate_id, False)
        was = {"reason": pool.pause_reason, **until_in_ledger(pool.paused_until)}
        record(desk, author, subject(pool.name), "paused", "yes", "no", was)


def until_in_ledger(until: datetime | None) -> dict[str, object]:
    """The end of a pause, for the detail of a line of the ledger."""
    return {"until": until.isoformat()} if until else {}


def delete(name: str, author: Author) -> None:
    """Forget what people set for a pool: it falls back to the default limit and is not paused.

    Holders stay counted until they end. If nobody holds or waits, the pool is removed altogether; it
    comes back, true, when an op names it again. Raises NoSuchPool, and what a listener raises.
    """
    with existing(name) as (desk, pool):
        record(desk, author, subject(name), DELETED, _shown(pool.limit), "", _settings_of(pool))
        update(pool, limit=None, description="", granularity="", **NOT_PAUSED)
        for listener in _forgetting:
            listener(desk, pool)
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
            raise Conflict(DEFAULT, settings.version, settings.default_limit, latest_change(DEFAULT, "default_limit"))
        if settings.default_limit != number:
            PoolSettings.objects.filter(version=settings.version).update(
                default_limit=number, version=settings.version + 1
            )
            for gate_id in Pool.objects.filter(limit=None).values_list("gate_id", flat=True):
                desk.resize(gate_id, number)
            record(desk, author, DEFAULT, "default_limit", _shown(settings.default_limit), _shown(number))
    settings.refresh_from_db()
    return settings


def set_run_buffer(value: object, author: Author, version: int | None = None) -> PoolSettings:
    """Set how many more runs may start than the pools of their root ops have room for, 0..100000.

    Raises InvalidLimit, or Conflict as `set_limit` does.
    """
    return _set_for_queue("run_buffer", limits.pool_limit(value, RUN_BUFFER), RUN_BUFFER, author, version)


def set_check_at_queue(enabled: bool, author: Author, version: int | None = None) -> PoolSettings:
    """Say whether a run waits in the queue while the pools of all its root ops are taken. Raises Conflict."""
    return _set_for_queue("check_at_queue", enabled, "check_at_queue", author, version)


def _set_for_queue(field: str, value: int | bool, name: str, author: Author, version: int | None) -> PoolSettings:
    with claims.desk() as desk:
        settings = PoolSettings.objects.get()
        before = getattr(settings, field)
        if version is not None and settings.version != version and before != value:
            raise Conflict(DEFAULT, settings.version, _shown(before), latest_change(DEFAULT, name))
        if before != value:
            PoolSettings.objects.filter(version=settings.version).update(
                **{field: value, "version": settings.version + 1}
            )
            desk.prospects_changed()
            record(desk, author, DEFAULT, name, _shown(before), _shown(value))
    settings.refresh_from_db()
    return settings


def on_forgetting(listener: Callable[[claims.Desk, Pool], None]) -> None:
    """Call `listener` with the pool as it was, in the transaction in which what was set for it is forgotten."""
    _forgetting.append(listener)


_forgetting: list[Callable[[claims.Desk, Pool], None]] = []

DEFAULT = "pools"
NOT_PAUSED: dict[str, object] = {"paused_at": None, "paused_by": "", "pause_reason": "", "paused_until": None}
DELETED = "deleted"
RUN_BUFFER = "op_granularity_run_buffer"


def subject(name: str) -> str:
    """A pool's name in the ledger."""
    return f"pool:{name}"


def record(
    desk: claims.Desk,
    author: Author,
    subject: str,
    field: str,
    before: str,
    after: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write a line of the ledger. Called in the transaction of the change, by whoever makes one.

    Raises Overtaken, which undoes the change, when it reverts one after which another about the same came.
    """
    if author.reverts is not None:
        newer = overtaking(author.reverts).exclude(reverts=author.reverts).first()
        if newer is not None:
            raise Overtaken(author.reverts, newer)
    change = Change.objects.create(
        at=desk.now,
        who=author.who,
        door=author.door,
        subject=subject,
        field=field,
        before=before,
        after=after,
        why=author.why.strip()[:500],
        detail=dict(detail or {}),
        reverts=author.reverts,
    )
    author.made.append(change)
    desk.topics.add("changes")


def first_version() -> int:
    """The version that something is born with: above that of any that had its name before it."""
    return (Change.objects.aggregate(newest=Max("id"))["newest"] or 0) + 1


def latest_change(subject: str, field: str = "") -> Change | None:
    """The newest line of the ledger about something, or about one field of it."""
    found = Change.objects.filter(subject=subject).order_by("-id")
    return (found.filter(field__in=[field, DELETED]) if field else found).first()


def overtaking(change: Change) -> QuerySet[Change]:
    """The changes after this one about the same, newest first. A deletion is about all that its subject has."""
    found = Change.objects.filter(subject=change.subject, id__gt=change.pk).order_by("-id")
    return found if change.field == DELETED else found.filter(field__in=[change.field, DELETED])


def _settings_of(pool: Pool) -> dict[str, object]:
    """What people set for a pool: all that its deletion forgets."""
    found: dict[str, object] = {
        "limit": pool.limit,
        "description": pool.description,
        "granularity": pool.granularity,
        "paused": pool.paused_at is not None,
    }
    return found | ({"reason": pool.pause_reason, **until_in_ledger(pool.paused_until)} if pool.paused_at else {})


@contextmanager
def existing(name: str) -> Iterator[tuple[claims.Desk, Pool]]:
    """A desk, and a pool that was read at it. Raises NoSuchPool."""
    with claims.desk() as desk:
        pool = Pool.objects.filter(name=name).first()
        if pool is None:
            raise NoSuchPool(name)
        yield desk, pool


def sight(desk: claims.Desk, name: str) -> Pool:
    """The pool of this name; it is born if nobody has named it yet."""
    desk.open_gates([pool_gate(name)])
    return Pool.objects.get(name=name)


def pool_gate(name: str) -> GateSpec:
    """The gate of a pool."""
    return GateSpec(kind="pool", key=subject(name), label=name)


def update(pool: Pool, **values: object) -> None:
    """Write over exactly the version that was read. Under the admission lock it can't have moved."""
    changed = Pool.objects.filter(pk=pool.pk, version=pool.version).update(version=pool.version + 1, **values)
    if not changed:
        raise Conflict(subject(pool.name), pool.version, pool.limit, None)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
