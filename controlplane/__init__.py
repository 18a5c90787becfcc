"""Sluice: a control plane that decides what may run now.

What authors write is imported from here, in the words of Dagster:

    import controlplane as dg

    @dg.asset(pool="database")
    def query_orders(context: dg.AssetExecutionContext): ...
"""

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
