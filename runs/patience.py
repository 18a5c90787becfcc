"""What to do while the database does not answer: say so, let go of the connections, and try again for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import connections

from pools import claims

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds to wait for a database that is away
LONGEST_PAUSE = 2.0

T = TypeVar("T")


def patiently(act: Callable[[], T]) -> T:
    """Do what may be done twice, again and again while the database is away. Raises its error after PATIENCE."""
    give_up = time.monotonic() + PATIENCE
    pause = 0.1
    while True:
        try:
            return act()
        except claims.AWAY as error:
            if time.monotonic() > give_up:
                raise
            did_not_answer(error)
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


def did_not_answer(error: Exception) -> None:
    """Say so, and let go of the connections: the next query makes a new one. For whoever has no transaction open."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    log.warning("the database did not answer: %s", text)
    connections.close_all()
