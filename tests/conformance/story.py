"""What a story is told with: jobs and their ops as the scenarios write them, and what can be seen after an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runs.catalog import Job
from runs.retry import RetryPolicy
from runs.tag_limits import TagLimit
from tests import builders

RETRY_DELAY = 3600.0  # seconds; nobody waits for them, the event "retries are due" ends them
EACH = {"applyLimitPerUniqueValue": True}


@dataclass(frozen=True)
class TagRule:
    """`team=a`, `team` or `each team`, as people write it."""

    key: str
    value: str | None = None
    each: bool = False

    @classmethod
    def of(cls, text: str) -> TagRule:
        if text.startswith("each "):
            return cls(text.removeprefix("each "), each=True)
        key, is_exact, value = text.partition("=")
        return cls(key, value if is_exact else None)

    def heading(self, tags: Mapping[str, str]) -> str | None:
        """Under what this rule counts something with these tags: its gate in words; None: not at all."""
        if self.key not in tags or self.value not in (None, tags[self.key]):
            return None
        if self.each:
            return f"each {self.key}={tags[self.key]}"
        return self.key if self.value is None else f"{self.key}={self.value}"

    def entry(self, limit: Any) -> dict[str, Any]:
        """The rule as the configuration file writes it."""
        value = EACH if self.each else self.value
        return {"key": self.key, "limit": limit} | ({} if value is None else {"value": value})


@dataclass(frozen=True)
class OpText:
    """An op of a job."""

    key: str
    pools: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    priority: Any = 0
    queue: str = "default"
    retries: int = 0
    later: bool = False  # its retries wait until they are due
    crashes: int = 0  # how many are not held against it


@dataclass(frozen=True)
class JobText:
    """A job: its ops, upstream first, and the limits of its executor."""

    ops: tuple[OpText, ...] = (OpText("x"),)
    executor: Any = None
    tag_limits: tuple[tuple[TagRule, Any], ...] = ()

    def to_job(self) -> Job:
        """The job as its author would define it. Raises DefinitionError."""
        return builders.job(
            *(_node(op) for op in self.ops),
            max_concurrent=self.executor,
            tag_rules=[rule.entry(limit) for rule, limit in self.tag_limits],
        )


def _node(op: OpText) -> Any:
    retry = RetryPolicy(op.retries, RETRY_DELAY if op.later else None) if op.retries else None
    return builders.op(
        op.key,
        after=op.after,
        pool=dict(op.pools) or None,
        tags=op.tags,
        priority=op.priority,
        retry=retry,
        crash_retries=op.crashes,
        queue=op.queue,
    )


@dataclass(frozen=True)
class Seen:
    """What can be seen after an event, in the words of the scenarios.

    `states` of runs ("r") and ops ("r.a"); `waiting`: for each candidate the gates that have no room for it;
    `in_use`: the slots of every gate at which any are in use.
    """

    states: Mapping[str, str]
    waiting: Mapping[str, frozenset[str]]
    in_use: Mapping[str, int]

    def ops_in(self, *states: str) -> set[str]:
        return {name for name, state in self.states.items() if "." in name and state in states}


def gate_name(kind: str, key: str, label: str, run: str = "") -> str:
    """The engine's gate in the words of the scenarios; `run` is the run whose private gate it is."""
    if kind == "run_tag":
        return f"rule each {label}" if "=" in key else f"rule {label}"
    if kind == "executor":
        return f"{run} executor"
    if kind == "executor_tag":
        return f"{run} tag {label}" if key.endswith("=") else f"{run} tag each {label}"
    return {"runs": "runs", "pool": f"pool {label}", "workers": f"queue {label}"}[kind]


def tag_limit(rule: TagRule, limit: int) -> TagLimit:
    """The rule as the plain rooms know it."""
    return TagLimit(rule.key, limit, rule.value, rule.each)
