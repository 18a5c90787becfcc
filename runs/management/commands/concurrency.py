"""`manage.py concurrency`: the limits of pools, and the configuration file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, CommandParser

from pools import limits, queries, sizing
from pools.queries import PoolView
from pools.sizing import Author
from runs import config, schema
from runs.management.plain_command import PlainCommand, operating_user, refusal


class Command(PlainCommand):
    help = "Show and change the limits of pools, or apply a configuration file."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, summary: str) -> ArgumentParser:
            return actions.add_parser(name, help=summary, description=summary)

        def pool_action(name: str, summary: str) -> ArgumentParser:
            found = action(name, summary)
            found.add_argument("pool", metavar="POOL")
            return found

        found = pool_action("set", "Set a pool's limit; the pool is made if need be.")
        found.add_argument("limit", metavar="LIMIT", help=f"0 to {limits.MAX_LIMIT}; 0 lets nothing start")
        _add_why(found)
        found = action("get", "Show a pool, or all of them.")
        found.add_argument("pool", metavar="POOL", nargs="?")
        found.add_argument("--all", action="store_true", help="show all pools and the default limit")
        self.add_json(found)
        _add_why(pool_action("delete", "Forget a pool's limit: it falls back to the default."))
        _add_why(pool_action("pause", "Let nothing new take the pool's slots; the limit stays."))
        _add_why(pool_action("resume", "End a pause."))
        found = action("default", "Set the limit of every pool that has none of its own.")
        found.add_argument("limit", metavar="LIMIT|none", help=f"0 to {limits.MAX_LIMIT}, or none: unlimited")
        _add_why(found)
        found = action("apply", "Set everything that a configuration file says; leave alone what it does not mention.")
        found.add_argument("file", metavar="FILE")
        found.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
        _add_why(found)

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        try:
            getattr(self, f"_{options['action']}")(options)
        except (limits.InvalidLimit, sizing.NoSuchPool, sizing.Conflict) as error:
            raise refusal([str(error)]) from error

    def _set(self, options: dict[str, Any]) -> None:
        before = queries.pool(options["pool"])
        pool = sizing.set_limit(options["pool"], options["limit"], _author(options))
        self._changed(pool.name, _own(before.own_limit if before else None), _own(pool.limit))

    def _get(self, options: dict[str, Any]) -> None:
        if options["all"] == bool(options["pool"]):
            raise CommandError("name a pool, or write --all.")
        default = queries.pool_settings().default_limit
        if options["all"]:
            shown = sorted(queries.pools(), key=lambda pool: pool.name)
            if options["json"]:
                self.print_json({"default_limit": default, "pools": [_as_dict(pool) for pool in shown]})
                return
            self.print_table(("POOL", "LIMIT", "IN USE", "WAITING", ""), [_row(pool) for pool in shown])
            self.stdout.write(f"Pools without a limit of their own: {_limit(default)}.")
            return
        pool = queries.pool(options["pool"])
        if pool is None:
            raise sizing.NoSuchPool(options["pool"])
        if options["json"]:
            self.print_json(_as_dict(pool))
            return
        self.print_table(("POOL", "LIMIT", "IN USE", "WAITING", ""), [_row(pool)])

    def _delete(self, options: dict[str, Any]) -> None:
        sizing.delete(options["pool"], _author(options))
        default = queries.pool_settings().default_limit
        self.stdout.write(f"{options['pool']}: deleted; the default applies: {_limit(default)}.")

    def _pause(self, options: dict[str, Any]) -> None:
        pool = sizing.pause(options["pool"], _author(options))
        self.stdout.write(f"{pool.name}: paused by {pool.paused_by}.")

    def _resume(self, options: dict[str, Any]) -> None:
        pool = sizing.resume(options["pool"], _author(options))
        self.stdout.write(f"{pool.name}: not paused.")

    def _default(self, options: dict[str, Any]) -> None:
        before = queries.pool_settings().default_limit
        limit = None if options["limit"] == "none" else options["limit"]
        after = sizing.set_default_limit(limit, _author(options)).default_limit
        self._changed("default_limit", _own(before), _own(after))

    def _apply(self, options: dict[str, Any]) -> None:
        try:
            wanted = config.read(options["file"])
        except config.InvalidConfiguration as error:
            raise refusal(error.errors) from error
        found = config.differences(wanted)
        for difference in found:
            self.stdout.write(str(difference))
        if not found:
            self.stdout.write("Nothing to change.")
        elif options["dry_run"]:
            self.stdout.write(f"{_counted(len(found))}, nothing written.")
        else:
            config.apply(found, _author(options, door="file"))
            self.stdout.write(f"{_counted(len(found))} applied.")

    def _changed(self, name: str, before: str, after: str) -> None:
        self.stdout.write(f"{name}: {after}, as before" if before == after else f"{name}: {before} -> {after}")


def _add_why(parser: ArgumentParser) -> None:
    parser.add_argument("--why", default="", help="the reason, kept with the change")


def _author(options: dict[str, Any], door: str = "cli") -> Author:
    return Author(operating_user(), door, options["why"])


def _row(pool: PoolView) -> tuple[object, ...]:
    notes = ["default"] if pool.own_limit is None else []
    if pool.paused:
        notes.append(f"paused by {pool.paused_by}" + (f": {pool.pause_reason}" if pool.pause_reason else ""))
    return (pool.name, _limit(pool.limit), pool.in_use, pool.waiting_shown, ", ".join(notes))


def _as_dict(pool: PoolView) -> dict[str, Any]:
    """A pool in JSON."""
    return {
        "pool": pool.name,
        "limit": pool.limit,
        "own_limit": pool.own_limit,
        "in_use": pool.in_use,
        "waiting": pool.waiting,
        "waiting_since": pool.oldest,
        "paused": pool.paused,
        "paused_by": pool.paused_by or None,
        "pause_reason": pool.pause_reason or None,
        "description": pool.description,
        "version": pool.version,
    }


def _limit(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)


def _own(limit: int | None) -> str:
    return "none" if limit is None else str(limit)


def _counted(number: int) -> str:
    return "1 change" if number == 1 else f"{number} changes"
