"""Finds the definitions in the configured modules, and checks what only all of them together can show.

A module that can't be loaded, or a definition that is wrong, becomes a problem that the pages show; the
other modules are not stopped by it.
"""

from __future__ import annotations

import ast
import importlib
import linecache
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType
from typing import Any, TypeVar

from django.conf import settings

from runs import graph, params
from runs.definitions import (
    ALL,
    ASSET_JOB,
    MADE,
    AssetDefinition,
    DefinitionError,
    Definitions,
    ExecutorDefinition,
    JobDefinition,
    Node,
    OpDefinition,
    multiprocess_executor,
)

T = TypeVar("T")
D = TypeVar("D", AssetDefinition, JobDefinition)


@dataclass(frozen=True)
class Problem:
    """A definition error: the module, the place in it ("file:line", may be empty) and what is wrong."""

    module: str
    where: str
    text: str
    trace: str = ""


@dataclass(frozen=True)
class Job:
    """A job whose ops are known: what can be launched."""

    name: str
    nodes: tuple[Node, ...]  # in topological order
    executor: ExecutorDefinition
    tags: Mapping[str, str]
    params: type | None
    description: str
    module: str

    @cached_property
    def plan(self) -> graph.Plan:
        """What a run of this job executes, frozen. All launches of a job share it, and what was worked out about it."""
        return make_plan(self.nodes, self.executor)

    @property
    def without_params(self) -> Job:
        """The same, as if nothing had to be given."""
        return replace(self, params=None)

    @property
    def pools(self) -> list[str]:
        """The pools that its ops name."""
        return sorted({name for node in self.nodes for name in node.op.pools})


@dataclass
class Catalog:
    """Everything that was found. Names are unique over all modules."""

    jobs: dict[str, Job] = field(default_factory=dict)
    assets: dict[str, AssetDefinition] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    modules: tuple[str, ...] = ()

    def asset_job(self, names: Iterable[str]) -> Job:
        """A job of just these assets, their dependencies on each other kept. Raises KeyError for an unknown one."""
        nodes = asset_nodes(self.assets, list(dict.fromkeys(names)))
        return Job(ASSET_JOB, nodes, multiprocess_executor, {}, None, "", "")

    def definition(self, job: str, op: graph.OpSpec) -> OpDefinition:
        """The function behind an op of a run. Raises DefinitionError when it is not there any more."""
        if op.asset:
            if op.key in self.assets:
                return self.assets[op.key]
        elif job in self.jobs:
            for node in self.jobs[job].nodes:
                if node.key == op.key:
                    return node.op
        loaded = ", ".join(self.modules) or "no module; set CONTROLPLANE_MODULES"
        raise DefinitionError(f"op {op.key} of job {job} is not defined in what this worker has loaded: {loaded}.")


def make_plan(nodes: Iterable[Node], executor: ExecutorDefinition) -> graph.Plan:
    """Freeze nodes (in topological order) and an executor."""
    nodes = list(nodes)
    inside = {node.key for node in nodes}
    specs = []
    for node in nodes:
        outside = {
            name: source for name, source in node.inputs.items() if isinstance(source, str) and source not in inside
        }
        specs.append(
            graph.OpSpec(
                key=node.key,
                asset=isinstance(node.op, AssetDefinition),
                upstream=tuple(key for key in node.upstream if key in inside),
                inputs={name: source for name, source in node.inputs.items() if name not in outside},
                outside=outside,
                pools=node.op.pools,
                tags=node.op.tags,
                priority=node.op.priority,
                queue=node.op.queue,
                retry=node.op.retry_policy,
                crash_retries=node.op.crash_retries,
                timeout=node.op.timeout,
                max_wait=node.op.max_wait,
                isolated=node.op.isolated,
            )
        )
    return graph.Plan(tuple(specs), executor.max_concurrent, executor.tag_limits)


def asset_nodes(assets: Mapping[str, AssetDefinition], names: list[str]) -> tuple[Node, ...]:
    """Nodes of these assets in topological order; upstream assets that are not among them stay outside."""
    chosen = set(names)
    nodes = {}
    for name in names:
        asset = assets[name]
        inputs: dict[str, str | tuple[str, ...]] = {entry: entry for entry in asset.inputs}
        nodes[name] = Node(name, asset, inputs, asset.deps)
    order = graph.in_order({name: [up for up in node.upstream if up in chosen] for name, node in nodes.items()})
    return tuple(nodes[name] for name in order)


# --- loading ----------------------------------------------------------------------------------------

_loaded: Catalog | None = None
_loading = threading.Lock()


def current() -> Catalog:
    """The catalog of this process, loaded on first use. A worker's children inherit it."""
    global _loaded
    if _loaded is None:
        with _loading:
            if _loaded is None:
                _loaded = load(settings.CONTROLPLANE_MODULES)
    return _loaded


def load(modules: Iterable[str]) -> Catalog:
    """Import modules and collect what they define."""
    catalog = Catalog(modules=tuple(dict.fromkeys(modules)))
    found: dict[JobDefinition, tuple[str, ExecutorDefinition]] = {}  # by identity, as it was offered first
    owners: dict[str, str] = {}
    for name in catalog.modules:
        try:
            assets, jobs = _offered(importlib.import_module(name))
            for asset in assets:
                _add_asset(catalog, owners, name, asset)
            for job, executor in jobs.items():
                found.setdefault(job, (name, executor))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a module raises, SystemExit too, is its own problem
            catalog.problems.append(_import_problem(name, error))
    _drop_broken_assets(catalog, owners)
    for job, (name, executor) in found.items():
        _add_job(catalog, name, job, executor)
    return catalog


def _offered(module: ModuleType) -> tuple[list[AssetDefinition], dict[JobDefinition, ExecutorDefinition]]:
    """What a module lists in its Definitions; without one, whatever it defines at top level, in lists too.

    What was made in the module and lost its name there to a second one comes before that.
    """
    values = list(vars(module).values())
    if listed := _of(Definitions, values):
        assets = [asset for entry in listed for asset in entry.assets]
        return assets, {job: _executor(job, entry.executor) for entry in listed for job in entry.jobs}
    values += [entry for value in values if type(value) in (list, tuple) for entry in value]
    jobs = _with_hidden(JobDefinition, module, values)
    return _with_hidden(AssetDefinition, module, values), {job: _executor(job) for job in jobs}


def _executor(job: JobDefinition, otherwise: ExecutorDefinition | None = None) -> ExecutorDefinition:
    return job.executor or otherwise or multiprocess_executor


def _with_hidden(kind: type[D], module: ModuleType, values: list[Any]) -> list[D]:
    offered = _of(kind, values)
    names = {entry.name for entry in offered}
    hidden = [entry for entry in _of(kind, getattr(module, MADE, ())) if entry.name in names]
    known = {id(entry) for entry in hidden}
    return hidden + [entry for entry in offered if id(entry) not in known]


def _of(kind: type[T], values: Iterable[Any]) -> list[T]:
    """The values of a kind. A module may hold anything, so only types are looked at: `isinstance` asks a value
    for its class, which evaluates a lazy object and can raise.
    """
    return [value for value in values if issubclass(type(value), kind)]


def _add_asset(catalog: Catalog, owners: dict[str, str], module: str, asset: AssetDefinition) -> None:
    other = catalog.assets.get(asset.name)
    if other is not None and other is not asset:
        _object(catalog, module, asset.source, f"asset {asset.name} is defined already, at {other.source}")
    else:
        catalog.assets[asset.name] = asset
        owners[asset.name] = module


def _drop_broken_assets(catalog: Catalog, owners: Mapping[str, str]) -> None:
    """Unknown dependencies and cycles: the asset, and with it all that depend on it, is not offered."""
    while True:
        for name, asset in catalog.assets.items():
            unknown = [up for up in (*asset.inputs, *asset.deps) if up not in catalog.assets]
            if unknown:
                text = f"asset {name}: it depends on {unknown[0]}, which is not defined (or is broken itself)"
                break
        else:
            try:
                graph.in_order({name: [*asset.inputs, *asset.deps] for name, asset in catalog.assets.items()})
            except graph.Cycle as cycle:
                name, text = cycle.keys[0], f"asset {cycle.keys[0]} {cycle}"
            else:
                return
        _object(catalog, owners[name], catalog.assets.pop(name).source, text)


def _add_job(catalog: Catalog, module: str, job: JobDefinition, executor: ExecutorDefinition) -> None:
    other = catalog.jobs.get(job.name)
    if other is not None:
        _object(catalog, module, job.source, f"job {job.name} is defined already, in {other.module}")
        return
    if job.nodes is not None:
        nodes = job.nodes  # calls in the body of the job: an op can only use what was called before it
    else:
        names = list(catalog.assets) if ALL in job.selection else list(job.selection)
        unknown = [name for name in names if name not in catalog.assets]
        if unknown or not names:
            what = f"it selects {unknown[0]}, which is not defined (or is broken)" if unknown else "there are no assets"
            _object(catalog, module, job.source, f"job {job.name}: {what}")
            return
        nodes = asset_nodes(catalog.assets, names)
    if job.params is not None:
        try:
            params.fields(job.params)
        except params.UnusableParams as error:
            _object(catalog, module, job.source, f"job {job.name}: params {error}")
            return
    catalog.jobs[job.name] = Job(job.name, nodes, executor, job.tags, job.params, job.description, module)


def _object(catalog: Catalog, module: str, where: str, text: str) -> None:
    catalog.problems.append(Problem(module, where, text))


def _import_problem(name: str, error: BaseException) -> Problem:
    """An error while a module was imported, at the line of that module that caused it."""
    frames = traceback.extract_tb(error.__traceback__)
    module_file = getattr(sys.modules.get(name), "__file__", None) or name.replace(".", "/") + ".py"
    own = [frame for frame in frames if frame.filename.endswith(module_file) or frame.filename == module_file]
    text = _text(error) if isinstance(error, DefinitionError) else f"{type(error).__name__}: {_text(error)}"
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    elif own:
        where = f"{own[-1].filename}:{own[-1].lineno}"
        defined = _what_is_defined(own[-1])
        if defined and not re.search(rf"\b{re.escape(defined)}\b", text):
            text += f" (in the definition of {defined})"
    return Problem(name, where, _writable(text), _writable("".join(traceback.format_exception(error))))


def _what_is_defined(frame: traceback.FrameSummary) -> str:
    """What the statement at a line defines: its function, or what it calls it, or its variable. Empty: nothing.

    An executor or a retry policy is wrong before there is a job or an op that it belongs to.
    """
    try:
        statements = ast.parse("".join(linecache.getlines(frame.filename))).body
    except SyntaxError:
        return ""
    line = frame.lineno or 0
    for statement in statements:
        first = min([statement.lineno, *(part.lineno for part in getattr(statement, "decorator_list", ()))])
        if not first <= line <= (statement.end_lineno or first):
            continue
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                return name
            case ast.Assign(value=ast.Call(args=[ast.Constant(value=str(name)), *_])):
                return name
            case ast.Assign(targets=[ast.Name(id=name)]):
                return name
    return ""


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "an error without a text"


def _writable(text: str) -> str:
    """`text` with what UTF-8 can't say, halves of surrogate pairs, written out."""
    return text.encode(errors="backslashreplace").decode()
