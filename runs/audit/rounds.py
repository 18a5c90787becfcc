"""Audits again and again, for the clock: it can't wait between two looks, so the second is taken in a later pass."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from pools import claims
from pools.sizing import Author
from runs.audit import looking, record
from runs.audit.looking import Look

log = logging.getLogger(__name__)

FIRST = 5.0  # seconds after the start
EVERY = 60.0
SHARE = 100  # at least so many times as long as a look takes passes until the next

CLOCK = Author("clock", "clock")


class Rounds:
    """When to look next, and what the last look was not sure of."""

    def __init__(self) -> None:
        self._due = time.monotonic() + FIRST
        self._first: Look | None = None

    def step(self) -> bool:
        """Look, if it is time to. Repairs nothing. Returns whether an audit was made, and recorded."""
        if time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + EVERY  # also if it fails
        if self._first is None and self._somebody_did():
            return False
        began = time.monotonic()
        found = looking.look()
        took = time.monotonic() - began
        if self._first is None and found.doubtful:
            self._first = found
            self._due = time.monotonic() + looking.moment()
            return False
        if self._first is not None:
            found, self._first = self._first.confirmed_by(found), None
        record.keep(found, took, CLOCK)
        for finding in found.findings:
            log.warning("drift: %s: %s", finding.kind, finding.text)
        for finding in found.warnings:
            log.warning("%s: %s", finding.kind, finding.text)
        self._due = time.monotonic() + max(EVERY, SHARE * took)
        return True

    def _somebody_did(self) -> bool:
        """Whether another clock, or a person, has made an audit just now."""
        last = record.newest()
        return last is not None and last.at > claims.clock_time() - timedelta(seconds=EVERY / 2)
