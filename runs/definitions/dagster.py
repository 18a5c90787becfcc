"""What Dagster's authors write and Sluice has no such thing for: taken without effect, or refused with a word on
what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runs.definitions.checks import DefinitionError

NO_EFFECT = {
    "asset": ("code_version", "group_name", "kinds", "metadata", "owners", "tags"),
    "op": ("code_version",),
    "job": ("metadata",),
    "Definitions": ("metadata",),
}
IN_ITS_STEAD = {
    "key_prefix": "write it into the name",
    "out": "return one value",
    "config_schema": "use the params of a job",
    "required_resource_keys": "make what is needed in the function",
    "io_manager_key": "all values are kept by the storage `outputs`",
    "partitions_def": "launch a run for each partition, with a param",
    "config": "use params",
    "run_tags": "write tags",
    "op_retry_policy": "give each op its own",
    "resource_defs": "make what is needed in the ops",
    "resources": "make what is needed in the ops",
    "schedules": "let cron call `manage.py launch`",
    "sensors": "let what notices call `manage.py launch`",
    "asset_checks": "check in the asset's function",
    "hooks": "do it in the ops",
}


def take_others(kind: str, where: str, others: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Look at the arguments that are none of ours. Raises DefinitionError unless they have no effect in Sluice.

    An empty value or None asks for nothing.
    """
    for name, value in others.items():
        if name in NO_EFFECT[kind]:
            continue
        if name == "ins":
            instead = (
                "name its inputs as parameters" if kind == "op" else "name upstream assets as parameters or in deps"
            )
        elif name in IN_ITS_STEAD:
            instead = IN_ITS_STEAD[name]
        else:
            raise DefinitionError(f"{where}: {name!r} is unknown; allowed: {', '.join(allowed)}.")
        if value is not None and not (isinstance(value, list | tuple | dict | set) and not value):
            raise DefinitionError(f"{where}: {name} is not supported: {instead}.")
