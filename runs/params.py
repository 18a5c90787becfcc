"""The params of a job: checks values against the type that the author wrote, and says which field is wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from runs.definitions.checks import is_storable


class InvalidParams(ValueError):
    """Values that the job's params type refuses. `errors` says what is wrong by field; "" is the whole."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in errors.items()))
        self.errors = dict(errors)


def check(params: type | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON, checked and completed with defaults. Text is read as the field's type.

    Raises InvalidParams; unknown names are refused too, and what a database does not keep.
    """
    if params is None:
        if values:
            raise InvalidParams({next(iter(values)): "this job takes no params"})
        return {}
    known = field_names(params)
    unknown = {name: f"unknown; this job takes {', '.join(known) or 'none'}" for name in values if name not in known}
    if unknown:
        raise InvalidParams(unknown)
    adapter: TypeAdapter[Any] = TypeAdapter(params)
    try:
        value = adapter.validate_python(dict(values))
    except ValidationError as error:
        raise InvalidParams(_by_field(error)) from error
    checked = adapter.dump_python(value, mode="json")
    errors = {name: why for name, entry in checked.items() if (why := _why_not_kept(entry))}
    if errors:
        raise InvalidParams(errors)
    return checked


def restore(params: type | None, values: Mapping[str, Any]) -> Any:
    """What an op receives: an object of the author's type, made of checked values."""
    return dict(values) if params is None else TypeAdapter(params).validate_python(dict(values))


def field_names(params: type) -> list[str]:
    """The names of the params, in the author's order."""
    if issubclass(params, BaseModel):
        return list(params.model_fields)
    return [field.name for field in dataclasses.fields(cast(Any, params)) if field.init]


def schema(params: type) -> dict[str, Any]:
    """The JSON schema of the params, from which the launch form is made."""
    return TypeAdapter(params).json_schema()


def _by_field(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in error.errors(include_url=False, include_context=False):
        name = str(entry["loc"][0]) if entry["loc"] else ""
        found.setdefault(name, f"{entry['msg']} (got {entry['input']!r})" if entry["type"] != "missing" else "required")
    return found


def _why_not_kept(value: Any) -> str | None:
    """What is wrong with a JSON value, or something within it, that a database does not keep. None: nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"not a finite number (got {value!r})"
    if isinstance(value, str) and not is_storable(value):
        return f"has a character that no database keeps (got {value!r})"
    within: list[Any] = []
    if isinstance(value, dict):
        within = [*value, *value.values()]
    elif isinstance(value, list):
        within = value
    return next(filter(None, map(_why_not_kept, within)), None)
