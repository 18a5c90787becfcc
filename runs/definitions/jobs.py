"""Jobs: what can be launched."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runs import system_tags
from runs.definitions.checks import (
    DefinitionError,
    checked_description,
    checked_name,
    checked_seconds,
    checked_tags,
    note,
)
from runs.definitions.composition import Builder, Node, building
from runs.definitions.dagster import take_others
from runs.definitions.executors import ExecutorDefinition
from runs.definitions.ops import AssetDefinition, asset_name

ALL = "*"
ASSET_JOB = "__ASSET_JOB"  # the job of a run that launches assets without a job; Dagster's name for it
OF_A_JOB = ("name", "executor_def", "tags", "params", "max_wait", "description")
OF_AN_ASSET_JOB = ("name", "selection", *OF_A_JOB[1:])


@dataclass(frozen=True, eq=False)
class JobDefinition:
    """What can be launched. `nodes` None: the assets that `selection` names, known to the catalog.

    `executor` None: that of the Definitions that list it, else the multiprocess executor.
    """

    name: str
    executor: ExecutorDefinition | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: type | None = None
    description: str = ""
    nodes: tuple[Node, ...] | None = None
    selection: tuple[str, ...] = (ALL,)
    source: str = ""


def job(
    compose_fn: Callable[[], Any] | None = None,
    *,
    name: str | None = None,
    executor_def: ExecutorDefinition | None = None,
    tags: Mapping[str, Any] | None = None,
    params: type | None = None,
    max_wait: float | None = None,
    description: str | None = None,
    **others: Any,
) -> Any:
    """Make a job of a function that calls ops: who is called with whose output makes the dependencies.

    `max_wait`: seconds that its runs may wait in the queue; a run that waited for longer fails.
    """

    def decorate(fn: Callable[[], Any]) -> JobDefinition:
        fields = _job_fields(fn.__name__ if name is None else name, executor_def, tags, params, max_wait)
        take_others("job", f"job {fields['name']}", others, OF_A_JOB)
        if inspect.signature(fn).parameters:
            raise DefinitionError(f"job {fields['name']}: its function takes no parameters; use params= for values.")
        if building:
            raise DefinitionError(f"job {fields['name']}: a job can't be defined inside another.")
        builder = Builder(fields["name"])
        building.append(builder)
        try:
            fn()
        finally:
            building.pop()
        if not builder.nodes:
            raise DefinitionError(f"job {fields['name']}: it calls no op.")
        made = JobDefinition(
            **fields,
            description=checked_description(description, fn, f"job {fields['name']}"),
            nodes=tuple(builder.nodes.values()),
            source=f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}",
        )
        note(made, fn.__globals__)
        return made

    return decorate(compose_fn) if compose_fn is not None else decorate


def define_asset_job(
    name: str,
    selection: str | AssetDefinition | Iterable[str | AssetDefinition] = ALL,
    executor_def: ExecutorDefinition | None = None,
    tags: Mapping[str, Any] | None = None,
    params: type | None = None,
    max_wait: float | None = None,
    description: str | None = None,
    **others: Any,
) -> JobDefinition:
    """Make a job of assets: assets, their names, or "*" for all."""
    fields = _job_fields(name, executor_def, tags, params, max_wait)
    take_others("job", f"job {name}", others, OF_AN_ASSET_JOB)
    entries = [selection] if isinstance(selection, str | AssetDefinition) else selection
    if not isinstance(entries, Iterable):
        raise DefinitionError(f"job {name}: selection {selection!r} is not allowed: use assets, their names, or '*'.")
    names = tuple(dict.fromkeys(ALL if entry == ALL else asset_name(entry, f"job {name}") for entry in entries))
    if not names:
        raise DefinitionError(f"job {name}: its selection is empty.")
    caller = inspect.stack(context=0)[1]
    made = JobDefinition(
        **fields,
        description=checked_description(description, None, f"job {name}"),
        selection=names,
        source=f"{caller.filename}:{caller.lineno}",
    )
    note(made, caller.frame.f_globals)
    return made


def _job_fields(name: Any, executor: Any, tags: Any, params: Any, max_wait: Any) -> dict[str, Any]:
    where = f"job {checked_name(name, 'job')}"
    if name in (ASSET_JOB, "assets"):  # the second is how people see the first
        raise DefinitionError(f"{where}: this name is taken: it stands for runs without a job.")
    _check_executor(executor, f"{where}: executor_def")
    if params is not None and not (
        isinstance(params, type) and (hasattr(params, "__dataclass_fields__") or hasattr(params, "model_fields"))
    ):
        raise DefinitionError(f"{where}: params {params!r} is not allowed: use a dataclass or a pydantic model.")
    checked = checked_tags(tags, where)
    if checked_seconds(max_wait, f"{where}: max_wait") is not None:
        checked.setdefault(system_tags.MAX_WAIT, str(max_wait))
    if wrong := system_tags.errors(checked):
        raise DefinitionError(f"{where}: {'; '.join(wrong.values())}.")
    return {"name": name, "executor": executor, "tags": checked, "params": params}


def _check_executor(executor: Any, where: str) -> None:
    if not isinstance(executor, ExecutorDefinition | None):
        raise DefinitionError(f"{where} {executor!r} is not allowed: use multiprocess_executor or in_process_executor.")


class Definitions:
    """What a module offers. Where a module has one, what it does not list is not offered.

    `executor` is that of the listed jobs that have none of their own.
    """

    def __init__(
        self,
        assets: Iterable[AssetDefinition] | None = None,
        jobs: Iterable[JobDefinition] | None = None,
        executor: ExecutorDefinition | None = None,
        **others: Any,
    ) -> None:
        take_others("Definitions", "Definitions", others, ("assets", "jobs", "executor"))
        _check_executor(executor, "Definitions.executor:")
        self.assets: tuple[AssetDefinition, ...] = _listed("assets", assets, AssetDefinition)
        self.jobs: tuple[JobDefinition, ...] = _listed("jobs", jobs, JobDefinition)
        self.executor = executor


def _listed(what: str, entries: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(entries, Iterable | None):
        raise DefinitionError(f"Definitions.{what}: {entries!r} is not allowed: use a list.")
    listed = tuple(entries or ())  # a generator can be gone through once
    for entry in listed:
        if not isinstance(entry, kind):
            raise DefinitionError(f"Definitions.{what}: {entry!r} is not allowed: it is no {kind.__name__}.")
    return listed
