"""The tags that mean something to the system. They keep the names of Dagster, whose users know them."""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFIX = "dagster/"
PRIORITY = PREFIX + "priority"
POOL = PREFIX + "concurrency_key"  # of an op: an older word for its pool
BACKFILL = PREFIX + "backfill"
PARTITION = PREFIX + "partition"
SCHEDULE_NAME = PREFIX + "schedule_name"
MAX_RUNTIME = PREFIX + "max_runtime"
MAX_RETRIES = PREFIX + "max_retries"

PARENT_RUN = PREFIX + "parent_run_id"
ROOT_RUN = PREFIX + "root_run_id"
RETRY_NUMBER = PREFIX + "retry_number"
RETRY_STRATEGY = PREFIX + "retry_strategy"
FROM_FAILURE, ALL_STEPS = "FROM_FAILURE", "ALL_STEPS"  # what a retry strategy may be
MAX_WAIT = "sluice/max_wait"  # Dagster has no word for it

HIGHEST_PRIORITY = 2**31 - 1
MOST_SECONDS = 366 * 24 * 3600
MOST_RETRIES = 100


def as_priority(value: object) -> int | None:
    """The whole number that a priority tag holds; None when it holds something else.

    The range is not checked here: who sums priorities checks the sum.
    """
    if type(value) is int:
        return value
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii():
        return None
    if written_out := re.fullmatch(r"([+-]?)0*([0-9]{1,30})[0-9]*", text):
        return int("".join(written_out.groups()))  # 30 digits are out of any range, more are no further
    try:
        return int(text) if len(text) <= 30 else None
    except ValueError:
        return None


def as_seconds(value: object) -> float | None:
    """The seconds that a tag holds, more than 0 and a year at most; None when it holds something else."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds <= MOST_SECONDS else None


def as_retries(value: object) -> int | None:
    """How often a run is to be executed again, as its tag says; None when it holds something else."""
    number = as_priority(value)
    return number if number is not None and 0 <= number <= MOST_RETRIES else None


def errors(tags: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the tags that bound a run, by tag. A wrong priority counts as 0 and is only warned of."""
    wrong = {}
    for key in (MAX_RUNTIME, MAX_WAIT):
        if key in tags and as_seconds(tags[key]) is None:
            wrong[key] = f"tag {key}: {tags[key]!r} is not allowed: use seconds, more than 0, at most {MOST_SECONDS}"
    if MAX_RETRIES in tags and as_retries(tags[MAX_RETRIES]) is None:
        wrong[MAX_RETRIES] = (
            f"tag {MAX_RETRIES}: {tags[MAX_RETRIES]!r} is not allowed: use a whole number, 0 to {MOST_RETRIES}"
        )
    if tags.get(RETRY_STRATEGY, FROM_FAILURE) not in (FROM_FAILURE, ALL_STEPS):
        wrong[RETRY_STRATEGY] = (
            f"tag {RETRY_STRATEGY}: {tags[RETRY_STRATEGY]!r} is not allowed: use {FROM_FAILURE} or {ALL_STEPS}"
        )
    return wrong
