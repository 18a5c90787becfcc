"""`manage.py concurrency set`, `delete`, `pause`, `resume`, `default`, `granularity`, `buffer`: what is about pools."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from pools import claims, limits, pauses, queries, sizing
from pools.models import Pool
from pools.rules import Pause
from pools.sizing import AlreadyPaused, Author
from runs import granularity
from runs.granularity import InvalidGranularity
from runs.management.concurrency.action import Actions, author, changed, limit_shown
from runs.management.plain_command import PlainCommand

DEFAULT = "default"  # a pool's granularity: the one of all pools


def add(actions: Actions) -> None:
    """Declare these actions."""
    found = actions.add("set", "Set a pool's limit; the pool is made if need be.", _set, "POOL")
    found.add_argument("limit", metavar="LIMIT", help=f"0 to {limits.MAX_LIMIT}; 0 lets nothing start")
    actions.add("delete", "Forget what was set for a pool: its limit falls back to the default.", _delete, "POOL")
    found = actions.add("pause", "Let nothing new take the pool's slots; the limit stays.", _pause, "POOL")
    found.add_argument("--until", default="", metavar="TIME", help="resume it by itself: after 30m, 2h; at 14:30 (UTC)")
    found.add_argument("--change", action="store_true", help="give a pause that is in force this reason and end")
    actions.add("resume", "End a pause.", _resume, "POOL")
    found = actions.add("default", "Set the limit of every pool that has none of its own.", _default)
    found.add_argument("limit", metavar="LIMIT|none", help=f"0 to {limits.MAX_LIMIT}, or none: unlimited")
    found = actions.add("granularity", "Set who holds the slots of pools: each op, or each run.", _granularity)
    found.add_argument(
        "granularity", metavar="op|run|default", help="default, with --pool: the granularity of all pools"
    )
    found.add_argument("--pool", metavar="NAME", help="set it for this pool alone")
    found = actions.add(
        "buffer", "Let so many more runs start than the pools of their first ops have room for.", _buffer
    )
    found.add_argument("buffer", metavar="N", help=f"0 to {limits.MAX_LIMIT}")


def _set(command: PlainCommand, options: dict[str, Any]) -> None:
    before = queries.pool(options["pool"])
    pool = sizing.set_limit(options["pool"], options["limit"], author(options))
    changed(command, pool.name, before.own_limit if before else None, pool.limit)


def _delete(command: PlainCommand, options: dict[str, Any]) -> None:
    sizing.delete(options["pool"], author(options))
    default = queries.pool_settings().default_limit
    command.stdout.write(f"{options['pool']}: deleted; the default applies: {limit_shown(default)}.")


def _pause(command: PlainCommand, options: dict[str, Any]) -> None:
    until = pauses.end_of(options["until"], claims.clock_time(), "--until")
    pool = _paused(options["pool"], author(options), until, options["change"])
    command.stdout.write(f"{pool.name}: paused{Pause(pool.paused_by, pool.paused_until).in_words}.")


def _paused(name: str, who: Author, until: datetime | None, change: bool) -> Pool:
    """Pause a pool; with `change`, one that is paused already gets this reason and end. Raises AlreadyPaused."""
    try:
        return sizing.pause(name, who, until)
    except AlreadyPaused as error:
        if change:
            return pauses.change(name, who, until, pauses.mark(error.pool))
        raise CommandError(f"{error} With --change it gets this reason and end.") from error


def _resume(command: PlainCommand, options: dict[str, Any]) -> None:
    pool = sizing.resume(options["pool"], author(options))
    command.stdout.write(f"{pool.name}: not paused.")


def _default(command: PlainCommand, options: dict[str, Any]) -> None:
    before = queries.pool_settings().default_limit
    limit = None if options["limit"] == "none" else options["limit"]
    changed(command, "default_limit", before, sizing.set_default_limit(limit, author(options)).default_limit)


def _granularity(command: PlainCommand, options: dict[str, Any]) -> None:
    name, wanted = options["pool"], options["granularity"]
    if name is None:
        if wanted == DEFAULT:
            raise InvalidGranularity(
                f"granularity: {wanted!r} is not allowed: use op or run; with --pool NAME also {DEFAULT}."
            )
        before = queries.pool_settings().granularity
        changed(command, "granularity", before, granularity.set_default(wanted, author(options)).granularity)
        return
    if wanted not in (*granularity.ALLOWED, DEFAULT):
        raise InvalidGranularity(f"granularity: {wanted!r} is not allowed: use op, run or {DEFAULT}.")
    known = queries.pool(limits.pool_name(name))
    if known is None and wanted == DEFAULT:
        raise sizing.NoSuchPool(name)
    pool = granularity.set_for_pool(name, None if wanted == DEFAULT else wanted, author(options))
    own_before = known.own_granularity if known else ""
    changed(command, f"granularity of {pool.name}", own_before or DEFAULT, pool.granularity or DEFAULT)


def _buffer(command: PlainCommand, options: dict[str, Any]) -> None:
    before = queries.pool_settings().run_buffer
    changed(command, sizing.RUN_BUFFER, before, sizing.set_run_buffer(options["buffer"], author(options)).run_buffer)
