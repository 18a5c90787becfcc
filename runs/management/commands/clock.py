"""`manage.py clock`: one pass of recovery each second."""

from __future__ import annotations

import logging
import signal
from typing import Any

from django.db import connections
from django.db.utils import InterfaceError, OperationalError

from runs import schema
from runs.management.plain_command import PlainCommand
from runs.recover import Clock
from runs.signals import WakeUps

log = logging.getLogger(__name__)

TICK = 1.0  # seconds


class Command(PlainCommand):
    help = "Expire leases, start retries that are due, and reissue lost tickets. Several may run at once."

    def handle(self, *args: Any, **options: Any) -> None:
        schema.require_current()
        run_clock()


def run_clock() -> None:
    """Make passes until SIGTERM or SIGINT."""
    clock = Clock()
    stopped: list[int] = []
    with WakeUps() as wake_ups:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda signum, frame: stopped.append(signum))
        while not stopped:
            try:
                clock.one_pass()
            except (OperationalError, InterfaceError) as error:
                log.warning("the database did not answer: %s", str(error).strip().splitlines()[0])
                connections.close_all()
                clock.database_was_away()
            wake_ups.wait(TICK)
