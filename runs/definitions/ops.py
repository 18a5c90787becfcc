"""Ops and assets: functions that are run as one unit of work, and what they need."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from pools import limits
from runs import system_tags
from runs.definitions.checks import (
    NAME,
    DefinitionError,
    checked_count,
    checked_description,
    checked_name,
    checked_queue,
    checked_seconds,
    checked_tags,
    note,
)
from runs.definitions.composition import building
from runs.definitions.dagster import take_others
from runs.retry import RetryPolicy

CONTEXT_NAMES = ("context", "context_", "_context", "_")
OF_BOTH = ("retry_policy", "crash_retries", "timeout", "max_wait", "isolated", "queue", "description")
OF_AN_OP = ("name", "pool", "tags", *OF_BOTH)
OF_AN_ASSET = ("name", "deps", "pool", "op_tags", *OF_BOTH)


@dataclass(frozen=True, eq=False)
class OpDefinition:
    """A function that is run as one unit of work, and what it needs."""

    name: str
    fn: Callable[..., Any]
    pools: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    retry_policy: RetryPolicy | None = None
    crash_retries: int | None = None
    timeout: float | None = None
    max_wait: float | None = None
    isolated: bool = False
    queue: str = "default"
    description: str = ""
    takes_context: bool = False
    inputs: tuple[str, ...] = ()
    optional_inputs: frozenset[str] = frozenset()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside @job: add this op to the job. Elsewhere: call the function itself, as a test would."""
        if building:
            return building[-1].add(self, self.name, args, kwargs)
        return self.fn(*args, **kwargs)

    def alias(self, name: str) -> OpAlias:
        """This op under another step key, for using it more than once in a job."""
        return OpAlias(self, checked_name(name, f"alias of op {self.name}"))

    @property
    def source(self) -> str:
        """Where the function is written: "file:line"; empty for an object that is called like one."""
        fn = self.fn.func if isinstance(self.fn, functools.partial) else self.fn
        code = getattr(inspect.unwrap(fn), "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else ""


@dataclass(frozen=True, eq=False)
class AssetDefinition(OpDefinition):
    """An op that produces a named asset. Its parameters name the assets whose values it takes."""

    deps: tuple[str, ...] = ()  # upstream assets whose values it does not take

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as a test would. An asset is found by its name, so it has no other step key."""
        if building:
            raise DefinitionError(
                f"job {building[-1].job_name}: asset {self.name} can't be called in the body of a job: "
                "select it with define_asset_job, or make it an op."
            )
        return self.fn(*args, **kwargs)

    def alias(self, name: str) -> OpAlias:
        """Refused with DefinitionError."""
        raise DefinitionError(f"asset {self.name}: an asset has no alias; its name is its step key.")


@dataclass(frozen=True)
class OpAlias:
    """An op with another step key, to be called inside @job."""

    op: OpDefinition
    key: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not building:
            raise DefinitionError(f"alias {self.key} of op {self.op.name} can be called only inside @job.")
        return building[-1].add(self.op, self.key, args, kwargs, given=True)


def op(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    pool: str | Mapping[str, int] | None = None,
    tags: Mapping[str, Any] | None = None,
    retry_policy: RetryPolicy | None = None,
    crash_retries: int | None = None,
    timeout: float | None = None,
    max_wait: float | None = None,
    isolated: bool = False,
    queue: str = "default",
    description: str | None = None,
    **others: Any,
) -> Any:
    """Make an op of a function. `pool`: a name, or names with the slots it takes of each.

    An attempt that takes more than `timeout` seconds fails. So does the op when it waits for its slots for more than
    `max_wait` seconds. `crash_retries`: how often it is tried again after a crash, before its `retry_policy` applies;
    None: as often as the deployment says (CRASH_RETRIES). `isolated`: it gets a process of its own.
    """

    def decorate(fn: Callable[..., Any]) -> OpDefinition:
        bounds = _Bounds(retry_policy, crash_retries, timeout, max_wait, isolated)
        fields = _op_fields("op", fn, name, pool, tags, bounds, queue, description)
        take_others("op", f"op {fields['name']}", others, OF_AN_OP)
        return OpDefinition(**fields)

    return decorate(compute_fn) if compute_fn is not None else decorate


def asset(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    deps: Iterable[str | AssetDefinition] | None = None,
    pool: str | Mapping[str, int] | None = None,
    op_tags: Mapping[str, Any] | None = None,
    retry_policy: RetryPolicy | None = None,
    crash_retries: int | None = None,
    timeout: float | None = None,
    max_wait: float | None = None,
    isolated: bool = False,
    queue: str = "default",
    description: str | None = None,
    **others: Any,
) -> Any:
    """Make an asset of a function.

    Each parameter besides the context names an upstream asset and receives its value. `deps` names
    upstream assets that must come first but whose values are not passed. The rest is as for an op.
    """

    def decorate(fn: Callable[..., Any]) -> AssetDefinition:
        bounds = _Bounds(retry_policy, crash_retries, timeout, max_wait, isolated)
        fields = _op_fields("asset", fn, name, pool, op_tags, bounds, queue, description)
        where = f"asset {fields['name']}"
        take_others("asset", where, others, OF_AN_ASSET)
        if isinstance(deps, str) or not isinstance(deps, Iterable | None):
            raise DefinitionError(f"{where}: deps {deps!r} is not allowed: use a list of assets or their names.")
        names = tuple(asset_name(entry, where) for entry in deps or ())
        repeated = next((n for i, n in enumerate(names) if n in names[:i] or n in fields["inputs"]), None)
        if repeated:
            raise DefinitionError(f"{where}: it depends on {repeated} twice; name each upstream asset once.")
        made = AssetDefinition(**fields, deps=names)
        note(made, getattr(inspect.unwrap(fn), "__globals__", {}))
        return made

    return decorate(compute_fn) if compute_fn is not None else decorate


@dataclass(frozen=True)
class _Bounds:
    """How often, for how long and where an op may try, as its author wrote it."""

    retry_policy: Any
    crash_retries: Any
    timeout: Any
    max_wait: Any
    isolated: Any

    def checked(self, where: str) -> dict[str, Any]:
        """Raises DefinitionError."""
        if not isinstance(self.retry_policy, RetryPolicy | None):
            raise DefinitionError(f"{where}: retry_policy {self.retry_policy!r} is not allowed: use a RetryPolicy.")
        if type(self.isolated) is not bool:
            raise DefinitionError(f"{where}: isolated {self.isolated!r} is not allowed: use True or False.")
        return {
            "retry_policy": self.retry_policy,
            "isolated": self.isolated,
            "crash_retries": checked_count(self.crash_retries, f"{where}: crash_retries", system_tags.MOST_RETRIES),
            "timeout": checked_seconds(self.timeout, f"{where}: timeout"),
            "max_wait": checked_seconds(self.max_wait, f"{where}: max_wait"),
        }


def _op_fields(
    what: str,
    fn: Callable[..., Any],
    name: str | None,
    pool: Any,
    tags: Mapping[str, Any] | None,
    bounds: _Bounds,
    queue: str,
    description: str | None,
) -> dict[str, Any]:
    if not callable(fn):
        raise DefinitionError(f"@{what} needs a function, not {fn!r}.")
    op_name = checked_name(getattr(fn, "__name__", "?") if name is None else name, what)
    where = f"{what} {op_name}"
    checked = checked_tags(tags, where)
    if system_tags.POOL in checked:
        if pool is not None:
            raise DefinitionError(
                f"{where}: a pool and the tag {system_tags.POOL}, an older word for it, are both given: use pool."
            )
        pool = checked.pop(system_tags.POOL)
    try:
        pools = limits.weights(pool)
    except limits.InvalidLimit as error:
        raise DefinitionError(f"{where}: {error}") from error
    checked_queue(queue, f"{where}: queue")
    takes_context, inputs, optional = _parameters(fn, where)
    return {
        "name": op_name,
        "fn": fn,
        "pools": pools,
        "tags": checked,
        "priority": _op_priority(checked, where),
        **bounds.checked(where),
        "queue": queue,
        "description": checked_description(description, fn, where),
        "takes_context": takes_context,
        "inputs": inputs,
        "optional_inputs": optional,
    }


def _parameters(fn: Callable[..., Any], where: str) -> tuple[bool, tuple[str, ...], frozenset[str]]:
    """Whether the function takes the context, the names of its inputs, and which of them may be left out."""
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise DefinitionError(f"{where}: a generator function is not allowed: return one value.")
    parameters = list(inspect.signature(fn).parameters.values())
    takes_context = bool(parameters) and (
        parameters[0].name in CONTEXT_NAMES or "ExecutionContext" in str(parameters[0].annotation)
    )
    inputs = parameters[1:] if takes_context else parameters
    for parameter in inputs:
        if parameter.name == "config":
            raise DefinitionError(
                f"{where}: parameter config is not supported: use the params of a job, context.params."
            )
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DefinitionError(f"{where}: parameter {parameter} is not allowed: name each input.")
    optional = frozenset(p.name for p in inputs if p.default is not p.empty)
    return takes_context, tuple(p.name for p in inputs), optional


def _op_priority(tags: Mapping[str, str], where: str) -> int:
    if system_tags.PRIORITY not in tags:
        return 0
    priority = system_tags.as_priority(tags[system_tags.PRIORITY])
    if priority is None or abs(priority) > system_tags.HIGHEST_PRIORITY:
        raise DefinitionError(
            f"{where}: {system_tags.PRIORITY} {tags[system_tags.PRIORITY]!r} is not allowed: "
            f"use a whole number within +-{system_tags.HIGHEST_PRIORITY}."
        )
    return priority


def asset_name(entry: Any, where: str) -> str:
    if isinstance(entry, AssetDefinition):
        return entry.name
    if isinstance(entry, str) and NAME.fullmatch(entry):
        return entry
    raise DefinitionError(f"{where}: {entry!r} is not an asset: use an asset or its name.")
