"""`manage.py worker`: the workers of this host."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from runs import schema
from runs.definitions.checks import QUEUE, QUEUE_RULE
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
        count, grace, queues = options["count"], options["grace"], options["queue"] or ["default"]
        if not 1 <= count <= 1000:
            raise CommandError(f"--count: {count} is not allowed: use 1 to 1000.")
        if not 0 <= grace < float("inf"):
            raise CommandError(f"--grace: {grace} is not allowed: use seconds, 0 or more.")
        for queue in queues:
            if not QUEUE.fullmatch(queue):
                raise CommandError(f"--queue: {queue!r} is not allowed: {QUEUE_RULE}.")
        schema.require_current()
        Launcher(dict.fromkeys(queues, count), grace).run()
