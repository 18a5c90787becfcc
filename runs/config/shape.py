"""Every key that a configuration file may have, in both spellings where Dagster has two, and what its value is.

The one source of the check (`document`) and of the JSON Schema (`schema`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from runs.config import kinds
from runs.config.kinds import Kind


@dataclass(frozen=True)
class Setting:
    """Something that a file may set: the field of `Configuration`, what its value may be, and what it is."""

    field: str
    kind: Kind
    about: str


Section: TypeAlias = "Mapping[str, Section | Setting]"

_MAXIMUM = Setting(
    "max_concurrent_runs",
    kinds.Maximum(),
    "How many runs may be in progress: 0 or more, -1 for no limit. 0 lets nothing start.",
)
_RULES = Setting(
    "tag_rules",
    kinds.Rules(),
    "Limits on runs in progress with a tag. The list is replaced as a whole; [] deletes all rules.",
)
_CHECK = Setting(
    "check_at_queue",
    kinds.Flag(),
    "Whether a run waits in the queue while the pools of all its first ops are taken.",
)
_DEFAULT_LIMIT = Setting(
    "default_limit",
    kinds.Default(),
    "The limit of every pool that has none of its own; null: unlimited.",
)
_GRANULARITY = Setting(
    "granularity",
    kinds.GRANULARITY,
    "Who holds the slots of a pool: each op while it runs, or each run from its start to its end.",
)
_BUFFER = Setting(
    "run_buffer",
    kinds.Slots(),
    "How many more runs may start than the pools of their first ops have room for (granularity op).",
)
_POOLS = Setting(
    "pools",
    kinds.Pools(),
    "Pools and their limits. A pool may be a number, or a mapping with its limit and its granularity.",
)

_BLOCK = "block_op_concurrency_limited_runs"
_RUNS: Section = {
    "max_concurrent_runs": _MAXIMUM,
    "tag_concurrency_limits": _RULES,
    _BLOCK: {"enabled": _CHECK},
}
_RUN_QUEUE: Section = {
    "max_concurrent_runs": _MAXIMUM,
    "tag_concurrency_limits": _RULES,
    _BLOCK: {"enabled": _CHECK, "op_concurrency_slot_buffer": _BUFFER},
}
SHAPE: Section = {
    "concurrency": {
        "runs": _RUNS,
        "pools": {
            "default_limit": _DEFAULT_LIMIT,
            "granularity": _GRANULARITY,
            "op_granularity_run_buffer": _BUFFER,
            "limits": _POOLS,
        },
        # Older spellings that Dagster accepts.
        "default_op_concurrency_limit": _DEFAULT_LIMIT,
        "run_queue": _RUN_QUEUE,
    },
    "run_queue": _RUN_QUEUE,
}

_POLLS = "a setting of Dagster's that has no use here: leave it out."
# What Dagster's users may write by its rules, and what to do instead.
INSTEAD = {
    "run_coordinator": "this older spelling is not read: write concurrency.runs.",
    "default_op_concurrency_limit": "this older spelling is not read here: write concurrency.pools.default_limit.",
    f"concurrency.runs.{_BLOCK}.op_concurrency_slot_buffer": (
        "not read here: write concurrency.pools.op_granularity_run_buffer."
    ),
} | {
    f"{queue}.{name}": _POLLS
    for queue in ("run_queue", "concurrency.run_queue")
    for name in (
        "dequeue_interval_seconds",
        "dequeue_num_workers",
        "dequeue_use_threads",
        "max_user_code_failure_retries",
        "user_code_failure_retry_delay",
    )
}


def spellings() -> dict[str, list[tuple[str, ...]]]:
    """The paths of each field; the first is the one that we write."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for path, setting in _settings(SHAPE, ()):
        found.setdefault(setting.field, []).append(path)
    return found


def _settings(section: Section, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Setting]]:
    for name, part in section.items():
        if isinstance(part, Setting):
            yield (*path, name), part
        else:
            yield from _settings(part, (*path, name))


PATHS = {field: ".".join(paths[0]) for field, paths in spellings().items()}
