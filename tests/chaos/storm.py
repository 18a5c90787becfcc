"""Lets faults happen, one to three at a time, and waits until the deployment has recovered from them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from pools import claims
from runs import patience
from tests.chaos import ledger
from tests.chaos.faults import Fault, kinds
from tests.chaos.site import WORKERS, Site

STEP = 0.05  # seconds between two looks


@dataclass
class Injection:
    """One fault that happened."""

    fault: Fault
    burst: int
    at: float
    undone_at: float = 0.0  # whatever it broke is there again
    since: float = 0.0  # from when on its recovery is counted
    recovered_at: float | None = None
    alone: bool = True  # no other fault happened at the same time

    @property
    def took(self) -> float | None:
        return None if self.recovered_at is None else max(0.0, self.recovered_at - self.since)


class Storm:
    """The faults of one chaos."""

    def __init__(self, site: Site, chance: random.Random, say: Callable[[str], None]) -> None:
        self.site, self.chance, self.say = site, chance, say
        self.injections: list[Injection] = []
        self.patience = 2 * site.lease + 20.0  # seconds after which what has not recovered is stuck
        self._deck: list[type[Fault]] = []
        self._bursts = 0

    def rage(self, seconds: float) -> None:
        """Let faults happen for so long. Each is undone, whatever happens."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._burst()
            self._wait(lambda: False, self.chance.uniform(0.1, 1.0))

    def _burst(self) -> None:
        """Let a few faults happen, undo each when it has lasted, then wait for the recovery from all of them."""
        self._bursts += 1
        burst: list[Injection] = []
        with ExitStack() as to_undo:
            for fault in self._draw(self.chance.choice((1, 1, 1, 1, 2, 2, 3))):
                injection = Injection(fault, self._bursts, time.time())
                to_undo.callback(self._undo, injection)
                if fault.inject():
                    burst.append(injection)
                self._wait(lambda: False, self.chance.uniform(0.0, 0.3))
            for injection in sorted(burst, key=lambda injection: injection.at + injection.fault.lasts):
                self._wait(lambda: False, injection.at + injection.fault.lasts - time.time())
                self._undo(injection)
        self.injections += burst
        database_back = max((i.undone_at for i in burst if i.fault.target == "PostgreSQL"), default=0.0)
        for injection in burst:
            injection.alone = len(burst) == 1
            begins = injection.at if injection.fault.from_the_start else injection.undone_at
            injection.since = max(begins if injection.fault.lasts else injection.at, database_back)
        self._wait(lambda: self._all_recovered(burst), self.patience)
        self.say("; ".join(f"{i.fault.name}: {'STUCK' if i.took is None else f'{i.took:.1f} s'}" for i in burst))

    def _undo(self, injection: Injection) -> None:
        if not injection.undone_at:
            injection.fault.undo()
            injection.undone_at = time.time()

    def _draw(self, count: int) -> list[Fault]:
        """The next kinds of fault: every one comes before any comes again, and no two on the same thing at once."""
        if len(self._deck) < count:
            fresh = kinds(self.site.database)
            self.chance.shuffle(fresh)
            self._deck += fresh
        drawn: list[Fault] = []
        for kind in list(self._deck):
            if len(drawn) < count and (not kind.target or kind.target not in {fault.target for fault in drawn}):
                self._deck.remove(kind)
                drawn.append(kind(self.site, self.chance))
        return drawn

    def _all_recovered(self, burst: list[Injection]) -> bool:
        try:
            for injection in burst:
                if injection.recovered_at is None:
                    injection.recovered_at = injection.fault.recovered_at(injection.since)
            staffed = ledger.staffed_at(WORKERS, 0.0) is not None
        except claims.AWAY as error:
            patience.did_not_answer(error)
            return False
        return staffed and all(injection.recovered_at is not None for injection in burst)

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until `done()`, for so long at most; meanwhile what has died is started again."""
        deadline = time.monotonic() + seconds
        while True:
            self.site.keep()
            if done():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(STEP)

    def calm(self, done: Callable[[], bool], seconds: float) -> bool:
        """No more faults: wait until `done()`."""
        return self._wait(done, seconds)
