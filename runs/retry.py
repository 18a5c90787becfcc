"""Whether a failed attempt is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

MOST_RETRIES = 2**31 - 1
MOST_DELAY = 30 * 24 * 60 * 60  # seconds that an author may write
LONGEST_DELAY = 365 * 24 * 3600.0  # seconds; an exponential backoff would leave the calendar


class Backoff(StrEnum):
    """How the delay grows with each attempt."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class Jitter(StrEnum):
    """How the delay is spread, so that attempts that failed together don't return together."""

    FULL = "full"  # anywhere from 0 to the delay
    PLUS_MINUS = "plus_minus"  # anywhere from 0 to twice the delay


@dataclass(frozen=True)
class RetryPolicy:
    """Try again up to `max_retries` times after the first attempt; `delay` is in seconds."""

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        self._expect(
            "max_retries",
            type(self.max_retries) is int and 0 <= self.max_retries <= MOST_RETRIES,
            f"a whole number, 0 to {MOST_RETRIES}",
        )
        self._expect(
            "delay",
            self.delay is None or (type(self.delay) in (int, float) and 0 <= self.delay <= MOST_DELAY),
            f"seconds, 0 to {MOST_DELAY} (30 days)",
        )
        self._expect(
            "backoff",
            self.backoff is None or isinstance(self.backoff, Backoff),
            "Backoff.LINEAR or Backoff.EXPONENTIAL",
        )
        self._expect(
            "jitter", self.jitter is None or isinstance(self.jitter, Jitter), "Jitter.FULL or Jitter.PLUS_MINUS"
        )
        if self.delay is None and (self.backoff or self.jitter):
            raise ValueError("RetryPolicy: backoff and jitter need a delay.")

    def _expect(self, name: str, allowed: bool, use: str) -> None:
        if not allowed:
            raise ValueError(f"RetryPolicy {name}: {getattr(self, name)!r} is not allowed: use {use}.")


def forgives_crash(crashes: int, own: int | None, budget: int) -> bool:
    """Whether an attempt that a crash ended is not held against the op, which is tried again at once.

    `crashes` of them were forgiven before; `own` is how many the op's author forgives, `budget` the deployment.
    """
    return crashes < (budget if own is None else own)


def delay_before_next(
    policy: RetryPolicy | None, attempt: int, spread: Callable[[], float] = random.random
) -> float | None:
    """Seconds to wait before the attempt after `attempt` (counted from 1), a year at most; None: it was the last.

    `spread` returns a number from 0 to 1 for the jitter.
    """
    if policy is None or attempt > policy.max_retries:
        return None
    delay = min(policy.delay or 0.0, LONGEST_DELAY)
    if policy.backoff is Backoff.LINEAR:
        delay *= attempt
    elif policy.backoff is Backoff.EXPONENTIAL:
        delay *= 2 ** min(attempt - 1, 32)
    if policy.jitter is Jitter.FULL:
        delay *= spread()
    elif policy.jitter is Jitter.PLUS_MINUS:
        delay *= 2 * spread()
    return min(delay, LONGEST_DELAY)
