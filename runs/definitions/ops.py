"""Ops and assets: functions that are run as one unit of work, and what they need."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pools import limits
from runs import system_tags
from runs.definitions.checks import NAME, QUEUE, QUEUE_RULE, DefinitionError, checked_name, checked_tags
from runs.definitions.composition import building
from runs.retry import RetryPolicy

CONTEXT_NAMES = ("context", "_context", "_")


@dataclass(frozen=True, eq=False)
class OpDefinition:
    """A function that is run as one unit of work, and what it needs."""

    name: str
    fn: Callable[..., Any]
    pools: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    retry_policy: RetryPolicy | None = None
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
        """Where the function is written: "file:line"."""
        code = inspect.unwrap(self.fn).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"


@dataclass(frozen=True, eq=False)
class AssetDefinition(OpDefinition):
    """An op that produces a named asset. Its parameters name the assets whose values it takes."""

    deps: tuple[str, ...] = ()  # upstream assets whose values it does not take


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
    queue: str = "default",
    description: str | None = None,
) -> Any:
    """Make an op of a function. `pool`: a name, or names with the slots it takes of each."""

    def decorate(fn: Callable[..., Any]) -> OpDefinition:
        return OpDefinition(**_op_fields("op", fn, name, pool, tags, retry_policy, queue, description))

    return decorate(compute_fn) if compute_fn is not None else decorate


def asset(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    deps: Iterable[str | AssetDefinition] = (),
    pool: str | Mapping[str, int] | None = None,
    op_tags: Mapping[str, Any] | None = None,
    retry_policy: RetryPolicy | None = None,
    queue: str = "default",
    description: str | None = None,
) -> Any:
    """Make an asset of a function.

    Each parameter besides the context names an upstream asset and receives its value. `deps` names
    upstream assets that must come first but whose values are not passed.
    """

    def decorate(fn: Callable[..., Any]) -> AssetDefinition:
        fields = _op_fields("asset", fn, name, pool, op_tags, retry_policy, queue, description)
        where = f"asset {fields['name']}"
        if isinstance(deps, str) or not isinstance(deps, Iterable):
            raise DefinitionError(f"{where}: deps {deps!r} is not allowed: use a list of assets or their names.")
        names = tuple(asset_name(entry, where) for entry in deps)
        repeated = next((n for i, n in enumerate(names) if n in names[:i] or n in fields["inputs"]), None)
        if repeated:
            raise DefinitionError(f"{where}: it depends on {repeated} twice; name each upstream asset once.")
        return AssetDefinition(**fields, deps=names)

    return decorate(compute_fn) if compute_fn is not None else decorate


def _op_fields(
    what: str,
    fn: Callable[..., Any],
    name: str | None,
    pool: Any,
    tags: Mapping[str, Any] | None,
    retry_policy: RetryPolicy | None,
    queue: str,
    description: str | None,
) -> dict[str, Any]:
    if not callable(fn):
        raise DefinitionError(f"@{what} needs a function, not {fn!r}.")
    op_name = checked_name(name or getattr(fn, "__name__", "?"), what)
    where = f"{what} {op_name}"
    try:
        pools = limits.weights(pool)
    except limits.InvalidLimit as error:
        raise DefinitionError(f"{where}: {error}") from error
    checked = checked_tags(tags, where)
    if retry_policy is not None and not isinstance(retry_policy, RetryPolicy):
        raise DefinitionError(f"{where}: retry_policy {retry_policy!r} is not allowed: use a RetryPolicy.")
    if not isinstance(queue, str) or not QUEUE.fullmatch(queue):
        raise DefinitionError(f"{where}: queue {queue!r} is not allowed: {QUEUE_RULE}.")
    takes_context, inputs, optional = _parameters(fn, where)
    return {
        "name": op_name,
        "fn": fn,
        "pools": pools,
        "tags": checked,
        "priority": _op_priority(checked, where),
        "retry_policy": retry_policy,
        "queue": queue,
        "description": (description or inspect.getdoc(fn) or "").strip(),
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
