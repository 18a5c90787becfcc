"""The JSON Schema of the configuration file, for editors and for other people's tools.

Made from the same keys and kinds as the check, and published as docs/reference/controlplane.schema.json. What a
schema can't say (a key or a rule that stands twice, a whole number written as 2.0) only the check finds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from runs.config.shape import SHAPE, Section, Setting, spellings


def as_json() -> str:
    """The schema as it is published."""
    return json.dumps(json_schema(), indent=2) + "\n"


def json_schema() -> dict[str, Any]:
    """The schema, draft 7: the one that editors know best."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "controlplane.yaml",
        "description": "Limits that `manage.py concurrency apply` sets. See docs/reference/configuration.md.",
        **_section(SHAPE),
        "allOf": [
            {"description": f"{'.'.join(one)} or {'.'.join(other)}, not both.", "not": _both(one, other)}
            for paths in spellings().values()
            for one, other in combinations(paths, 2)
        ],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "properties": {name: _part(part) for name, part in section.items()},
        "additionalProperties": False,
    }


def _part(part: Section | Setting) -> dict[str, Any]:
    if isinstance(part, Setting):
        return {"description": part.about, **part.kind.schema()}
    return _section(part)


def _both(one: Sequence[str], other: Sequence[str]) -> dict[str, Any]:
    return {"allOf": [_there(one), _there(other)]}


def _there(path: Sequence[str]) -> dict[str, Any]:
    """Matches a document in which this path is written."""
    name, rest = path[0], path[1:]
    here: dict[str, Any] = {"type": "object", "required": [name]}
    return here | {"properties": {name: _there(rest)}} if rest else here
