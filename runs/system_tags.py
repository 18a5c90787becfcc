"""The tags that mean something to the system. They keep the names of Dagster, whose users know them."""

import re

PREFIX = "dagster/"
PRIORITY = PREFIX + "priority"
POOL = PREFIX + "concurrency_key"  # of an op: an older word for its pool
BACKFILL = PREFIX + "backfill"
PARTITION = PREFIX + "partition"
SCHEDULE_NAME = PREFIX + "schedule_name"
MAX_RUNTIME = PREFIX + "max_runtime"
MAX_RETRIES = PREFIX + "max_retries"

HIGHEST_PRIORITY = 2**31 - 1


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
