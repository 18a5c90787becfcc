"""Sluice: a control plane that decides what may run now.

What authors write is imported from here, in the words of Dagster:

    import controlplane as dg

    @dg.asset(pool="database")
    def query_orders(context: dg.AssetExecutionContext): ...
"""

from typing import TYPE_CHECKING, NoReturn

from runs.context import AssetExecutionContext, OpExecutionContext
from runs.definitions import (
    AssetDefinition,
    DefinitionError,
    Definitions,
    ExecutorDefinition,
    JobDefinition,
    OpDefinition,
    asset,
    define_asset_job,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
)
from runs.retry import Backoff, Jitter, RetryPolicy

__version__ = "0.1.0"

__all__ = [
    "AssetDefinition",
    "AssetExecutionContext",
    "Backoff",
    "DefinitionError",
    "Definitions",
    "ExecutorDefinition",
    "Jitter",
    "JobDefinition",
    "OpDefinition",
    "OpExecutionContext",
    "RetryPolicy",
    "asset",
    "define_asset_job",
    "in_process_executor",
    "job",
    "multiprocess_executor",
    "op",
]

_INSTEAD = {
    "AssetKey": "use the asset's name",
    "AssetSelection": "a selection is assets, their names, or '*'",
    "Config": "use the params of a job",
    "MaterializeResult": "return the value itself",
    "Output": "return the value itself",
}

if not TYPE_CHECKING:  # a checker of types knows by itself what there is

    def __getattr__(name: str) -> NoReturn:
        instead = _INSTEAD.get(name, "it has fewer names than Dagster")
        raise AttributeError(f"Sluice has no {name}: {instead}; see docs/reference/authoring.md")
