"""`manage.py concurrency get`: a pool, or everything that is in force."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from pools import queries, sizing
from pools.models import PoolSettings
from pools.queries import PoolView
from pools.rules import Pause
from runs import config, in_force
from runs.management.concurrency.action import Actions, limit_shown, own
from runs.management.concurrency.queue import CHECK
from runs.management.plain_command import PlainCommand, printable
from runs.models import RunQueue

HEADER = ("POOL", "LIMIT", "IN USE", "WAITING", "")


def add(actions: Actions) -> None:
    """Declare this action."""
    found = actions.add("get", "Show a pool, or all of them and all settings.", _get, why=False)
    found.add_argument("pool", metavar="POOL", nargs="?")
    found.add_argument("--all", action="store_true", help="show all pools, the settings and the rules")
    found.add_argument("--json", action="store_true", help="print JSON")


def _get(command: PlainCommand, options: dict[str, Any]) -> None:
    if options["all"] == bool(options["pool"]):
        raise CommandError("name a pool, or write --all.")
    if options["all"]:
        _get_all(command, options["json"])
        return
    pool = queries.pool(options["pool"])
    if pool is None:
        raise sizing.NoSuchPool(options["pool"])
    if options["json"]:
        command.print_json(_as_dict(pool, queries.pool_settings()))
    else:
        command.print_table(HEADER, [_row(pool)])


def _get_all(command: PlainCommand, as_json: bool) -> None:
    settings = queries.pool_settings()
    pools = sorted(queries.pools(), key=lambda pool: pool.name)
    maximum = RunQueue.objects.get().max_concurrent_runs
    if as_json:
        rules = config.document()["concurrency"]["runs"]["tag_concurrency_limits"]
        command.print_json(
            {
                "default_limit": settings.default_limit,
                "granularity": settings.granularity,
                sizing.RUN_BUFFER: settings.run_buffer,
                CHECK: {"enabled": settings.check_at_queue},
                "max_concurrent_runs": maximum,
                "tag_concurrency_limits": rules,
                "pools": [_as_dict(pool, settings) for pool in pools],
            }
        )
        return
    command.print_table(HEADER, [_row(pool) for pool in pools])
    command.stdout.write(f"Pools without a limit of their own: {limit_shown(settings.default_limit)}.")
    for name, value in (
        ("granularity", settings.granularity),
        (sizing.RUN_BUFFER, settings.run_buffer),
        (CHECK, settings.check_at_queue),
        ("max_concurrent_runs", maximum),
    ):
        command.stdout.write(f"{name}: {own(value)}")
    for rule in in_force.rules():
        command.stdout.write(printable(f"rule {rule.limit.label}: {rule.limit.limit}"))


def _row(pool: PoolView) -> tuple[object, ...]:
    notes = ["default"] if pool.own_limit is None else []
    if pool.own_granularity:
        notes.append(f"granularity {pool.own_granularity}")
    if pool.paused:
        notes.append("paused" + Pause(pool.paused_by, pool.paused_until, pool.pause_reason).in_words)
    return (pool.name, limit_shown(pool.limit), pool.in_use, pool.waiting_shown, ", ".join(notes))


def _as_dict(pool: PoolView, settings: PoolSettings) -> dict[str, Any]:
    """A pool in JSON."""
    return {
        "pool": pool.name,
        "limit": pool.limit,
        "own_limit": pool.own_limit,
        "granularity": pool.own_granularity or settings.granularity,
        "own_granularity": pool.own_granularity or None,
        "in_use": pool.in_use,
        "waiting": pool.waiting,
        "waiting_since": pool.oldest,
        "paused": pool.paused,
        "paused_by": pool.paused_by or None,
        "pause_reason": pool.pause_reason or None,
        "paused_until": pool.paused_until,
        "description": pool.description,
        "version": pool.version,
    }
