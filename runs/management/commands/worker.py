"""`manage.py worker`: the workers of this host."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import redis
from django.core.management.base import CommandError

from runs import schema, tickets
from runs.definitions import DefinitionError, checked_queue
from runs.launcher import Launcher
from runs.management.plain_command import PlainCommand


class Command(PlainCommand):
    help = "Start RQ workers that run ops, watch them, and renew the leases of what they run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=2, help="how many workers for each queue (default 2)")
        parser.add_argument("--queue", action="append", help="a queue to work for; may be given several times")
        parser.add_argument(
            "--grace", type=float, default=60.0, help="seconds that running ops get to end when told to stop"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count, grace = options["count"], options["grace"]
        if not 1 <= count <= 1000:
            raise CommandError(f"--count: {count} is not allowed: use 1 to 1000.")
        if not 0 <= grace < float("inf"):
            raise CommandError(f"--grace: {grace} is not allowed: use seconds, 0 or more.")
        queues = dict.fromkeys(wanted_queues(options["queue"]), count)
        schema.require_current()
        try:
            tickets.connect().ping()
        except (redis.RedisError, OSError) as error:
            raise CommandError(f"Redis did not answer: {error}") from error
        Launcher(queues, grace).run()


def wanted_queues(names: list[str] | None) -> list[str]:
    """What --queue names, checked; `default` without it. Raises CommandError."""
    try:
        return [checked_queue(name, "--queue:") for name in names or ["default"]]
    except DefinitionError as error:
        raise CommandError(str(error)) from error
