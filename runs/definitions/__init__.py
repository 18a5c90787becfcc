"""What authors write: ops, assets, jobs, executors. Plain Python: importable without Django.

An error in a definition is raised where it is written, as DefinitionError, and names the job and the op.
What can be known only when all definitions are there (does that dependency exist?) is checked by
`runs.catalog`.
"""

from runs.definitions.checks import MADE, DefinitionError, checked_queue, checked_tags
from runs.definitions.composition import Node
from runs.definitions.executors import ExecutorDefinition, in_process_executor, multiprocess_executor
from runs.definitions.jobs import ALL, ASSET_JOB, Definitions, JobDefinition, define_asset_job, job
from runs.definitions.ops import AssetDefinition, OpDefinition, asset, op

__all__ = [
    "ALL",
    "ASSET_JOB",
    "MADE",
    "AssetDefinition",
    "DefinitionError",
    "Definitions",
    "ExecutorDefinition",
    "JobDefinition",
    "Node",
    "OpDefinition",
    "asset",
    "checked_queue",
    "checked_tags",
    "define_asset_job",
    "in_process_executor",
    "job",
    "multiprocess_executor",
    "op",
]
