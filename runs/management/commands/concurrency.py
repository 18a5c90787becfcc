"""`manage.py concurrency`: the limits of pools and of the run queue, and the configuration file."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pools.limits import InvalidLimit
from pools.pauses import InvalidPause
from pools.sizing import Conflict, NoSuchPool
from runs import schema
from runs.config import InvalidConfiguration, Refused
from runs.granularity import InvalidGranularity, WouldDeadlock
from runs.management.concurrency import file, pools, queue, show
from runs.management.concurrency.action import Actions
from runs.management.plain_command import PlainCommand, refusal
from runs.run_limits import InvalidMaximum, NoSuchRule
from runs.tag_limits import InvalidTagLimit

NOT_ALLOWED = (InvalidGranularity, InvalidLimit, InvalidPause, InvalidMaximum, InvalidTagLimit)
NOT_NOW = (Conflict, NoSuchPool, NoSuchRule, Refused, WouldDeadlock)


class Command(PlainCommand):
    help = "Show and change limits, or apply a configuration file."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = Actions(parser)
        for room in (pools, show, queue, file):
            room.add(actions)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] != "schema":
            schema.require_current()
        try:
            options["act"](self, options)
        except InvalidConfiguration as error:
            raise refusal(error.errors) from error
        except (*NOT_ALLOWED, *NOT_NOW) as error:
            raise refusal([str(error)]) from error
