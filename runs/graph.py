"""The plan of a run, and what follows from it: which ops come first, who is downstream of whom, how it ends."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from runs import states
from runs.retry import Backoff, Jitter, RetryPolicy
from runs.tag_limits import TagLimit


class Cycle(ValueError):
    """Ops wait for each other in a circle. `keys` is the circle, its first key again at the end."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__("depends on itself: " + " -> ".join(keys))
        self.keys = keys


@dataclass(frozen=True)
class OpSpec:
    """What one op of a run executes and needs, frozen at launch.

    `definition` is how the catalog finds the function: an asset's name, or a job's name and a step key.
    `inputs` name the step keys that each parameter's value comes from (a list: a list of values), also keys of ops
    that this run does not execute but reuses;
    `outside` are inputs from assets that this run does not execute: their last value is used.
    """

    key: str
    asset: bool = False
    upstream: tuple[str, ...] = ()
    inputs: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    queue: str = "default"
    retry: RetryPolicy | None = None
    crash_retries: int | None = None  # None: as many as the deployment forgives
    timeout: float | None = None  # seconds that an attempt may take
    max_wait: float | None = None  # seconds that it may wait for its slots
    isolated: bool = False  # it gets a process of its own


@dataclass(frozen=True)
class Plan:
    """All ops of a run in topological order, and the limits within the run."""

    ops: tuple[OpSpec, ...]
    max_concurrent: int | None = None
    tag_limits: tuple[TagLimit, ...] = ()

    @cached_property
    def by_key(self) -> dict[str, OpSpec]:
        return {op.key: op for op in self.ops}

    @cached_property
    def pools(self) -> frozenset[str]:
        """The pools that its ops use."""
        return frozenset(pool for op in self.ops for pool in op.pools)

    @cached_property
    def downstream(self) -> dict[str, tuple[str, ...]]:
        """For each op, the ops that wait for it directly."""
        found: dict[str, list[str]] = {op.key: [] for op in self.ops}
        for op in self.ops:
            for upstream in op.upstream:
                found[upstream].append(op.key)
        return {key: tuple(keys) for key, keys in found.items()}

    def all_downstream(self, key: str) -> tuple[str, ...]:
        """Every op that can't run when this one has failed, in topological order."""
        reached = {key}
        for op in self.ops:
            if reached.intersection(op.upstream):
                reached.add(op.key)
        return tuple(op.key for op in self.ops if op.key in reached and op.key != key)

    def without(self, keys: Collection[str]) -> Plan:
        """The plan of a run that does not execute these ops, as it has their values already."""
        if not keys:
            return self
        ops = tuple(
            replace(op, upstream=tuple(up for up in op.upstream if up not in keys))
            for op in self.ops
            if op.key not in keys
        )
        return Plan(ops, self.max_concurrent, self.tag_limits)

    def to_json(self) -> str:
        """The plan as text; equal plans give equal texts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        return sha256(self.to_json().encode()).hexdigest()

    @cached_property
    def flaw(self) -> str:
        """Why it would not be read as it was written; empty if it would."""
        try:
            text = self.to_json()
            return "" if Plan.from_json(text).to_json() == text else "it would be read as something else"
        except (ValueError, TypeError, RecursionError) as error:
            return f"{type(error).__name__}: {error}"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        body = json.loads(text)
        return cls(
            ops=tuple(_op_spec(entry) for entry in body["ops"]),
            max_concurrent=body["max_concurrent"],
            tag_limits=tuple(TagLimit(**rule) for rule in body["tag_limits"]),
        )


def _op_spec(entry: dict[str, Any]) -> OpSpec:
    retry = entry["retry"]
    if retry is not None:
        retry = RetryPolicy(
            max_retries=retry["max_retries"],
            delay=retry["delay"],
            backoff=Backoff(retry["backoff"]) if retry["backoff"] else None,
            jitter=Jitter(retry["jitter"]) if retry["jitter"] else None,
        )
    inputs = {name: source if isinstance(source, str) else tuple(source) for name, source in entry["inputs"].items()}
    return OpSpec(**{**entry, "upstream": tuple(entry["upstream"]), "inputs": inputs, "retry": retry})


def in_order(upstream: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys so that each comes after all its upstream, otherwise in the order given.

    Every upstream must be a key. Raises Cycle.
    """
    ordered: dict[str, None] = {}
    on_path: dict[str, None] = {}

    for start in upstream:
        stack: list[tuple[str, Iterable[str]]] = [(start, iter(upstream[start]))]
        if start in ordered:
            continue
        on_path[start] = None
        while stack:
            key, remaining = stack[-1]
            following = next((up for up in remaining if up not in ordered), None)
            if following is None:
                stack.pop()
                on_path.pop(key)
                ordered[key] = None
            elif following in on_path:
                path = list(on_path)
                raise Cycle([*path[path.index(following) :], following])
            else:
                on_path[following] = None
                stack.append((following, iter(upstream[following])))
    return list(ordered)


def outcome(op_states: Iterable[str], cancel_requested: bool) -> str:
    """What finished ops make of their run."""
    if cancel_requested:
        return states.CANCELED
    found = set(op_states)
    if states.FAILURE in found:
        return states.FAILURE
    return states.CANCELED if states.CANCELED in found else states.SUCCESS
