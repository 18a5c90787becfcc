"""`manage.py clock`: one pass of recovery each second."""

from __future__ import annotations

import signal
from typing import Any

from pools import claims
from runs import patience, schema
from runs.management.plain_command import PlainCommand
from runs.recover import Clock
from runs.signals import WakeUps

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
            except claims.AWAY as error:
                patience.did_not_answer(error)
                clock.database_was_away()
            wake_ups.wait(TICK)
