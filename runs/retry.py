"""Whether a failed attempt is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

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
        if type(self.max_retries) is not int or self.max_retries < 0:
            raise ValueError(
                f"RetryPolicy max_retries: {self.max_retries!r} is not allowed: use a whole number, 0 or more."
            )
        if self.delay is not None and not (isinstance(self.delay, int | float) and 0 <= self.delay < float("inf")):
            raise ValueError(f"RetryPolicy delay: {self.delay!r} is not allowed: use seconds, 0 or more.")
        if self.delay is None and (self.backoff or self.jitter):
            raise ValueError("RetryPolicy: backoff and jitter need a delay.")


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
