"""The params of a job: checks values against the type that the author wrote, and says which field is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from runs.definitions.checks import is_storable


class InvalidParams(ValueError):
    """Values that the job's params type refuses. `errors` says what is wrong by field; "" is the whole."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in errors.items()))
        self.errors = dict(errors)


class UnusableParams(Exception):
    """A type that can't be the params of a job. The text says why, in one line."""


def check(params: type | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON, checked and completed with defaults. Text is read as the field's type.

    Raises InvalidParams; unknown names are refused too, and what a database does not keep. Guaranteed: `restore` takes
    what is returned.
    """
    if params is None:
        if values:
            raise InvalidParams({next(iter(values)): "this job takes no params"})
        return {}
    known = field_names(params)
    unknown = {name: f"unknown; this job takes {', '.join(known) or 'none'}" for name in values if name not in known}
    if unknown:
        raise InvalidParams(unknown)
    specs = fields(params)
    chosen = {name: _as_choice(value, specs[name]) for name, value in values.items()}
    try:
        dumped = _adapter(params).dump_python(_validated(params, chosen), mode="json", warnings=False)
        checked = {name: dumped[name] for name in known}
        restore(params, checked)  # defaults are not checked by the first look
    except ValidationError as error:
        raise InvalidParams(_by_field(error)) from error
    except Exception as error:  # of the author's own code, a validator or __post_init__; or nested too deeply
        raise InvalidParams({"": f"not accepted: {type(error).__name__}: {error}"}) from error
    errors = {name: why for name, entry in checked.items() if (why := _why_not_kept(entry))}
    if errors:
        raise InvalidParams(errors)
    return checked


def restore(params: type | None, values: Mapping[str, Any]) -> Any:
    """What an op receives: an object of the author's type, made of checked values."""
    return dict(values) if params is None else _validated(params, values)


def field_names(params: type) -> list[str]:
    """The names of the params, in the author's order."""
    if issubclass(params, BaseModel):
        return list(params.model_fields)
    return [field.name for field in dataclasses.fields(cast(Any, params)) if field.init]


@lru_cache(maxsize=256)
def fields(params: type) -> dict[str, dict[str, Any]]:
    """The JSON schema of each param, from which the launch form is made: what it refers to is merged in, and
    `required` says whether it must be given.

    Raises UnusableParams for a type of which no run could be launched.
    """
    name = params.__name__
    try:
        schema = _adapter(params).json_schema(by_alias=False)
    except Exception as error:  # pydantic's own errors have no common class, and the author's code runs too
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnusableParams(f"{name}: {reason[0]}") from error
    found, required = schema.get("properties", {}), set(schema.get("required", ()))
    if schema.get("type") != "object":
        raise UnusableParams(f"{name}: it has no fields; use a dataclass or a pydantic model with some")
    definitions = schema.get("$defs", {})
    known = field_names(params)
    for field in sorted(required.difference(known)):
        raise UnusableParams(f"{name}.{field} must be given and can't be kept: make it a field, or give it a default")
    specs = {field: _resolved(found[field], definitions) for field in known}
    for field, spec in specs.items():
        if _holds_secret(spec, definitions):
            raise UnusableParams(
                f"{name}.{field} is a secret: params are kept and shown; give secrets to the workers' environment"
            )
        spec["required"] = field in required
    return specs


def choices(spec: Mapping[str, Any]) -> list[Any]:
    """The only values that a param may have, by its schema; empty: there are no such."""
    return list(spec["enum"]) if "enum" in spec else [spec["const"]] if "const" in spec else []


@lru_cache(maxsize=256)
def _adapter(params: type) -> TypeAdapter[Any]:
    return TypeAdapter(params)


def _validated(params: type, values: Mapping[str, Any]) -> Any:
    """An object of the type. Fields go by their names, also those that have an alias."""
    return _adapter(params).validate_python(dict(values), by_name=True, by_alias=False)


def _as_choice(value: Any, spec: Mapping[str, Any]) -> Any:
    """The choice that a text means: "2" is the number 2 where that is one of the only values."""
    if not isinstance(value, str):
        return value
    found = [choice for part in (spec, *spec.get("anyOf", ())) for choice in choices(part)]
    if value in found:
        return value
    return next((choice for choice in found if value in (str(choice), json.dumps(choice))), value)


def _resolved(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A schema entry with what it refers to (an enum is kept apart) merged in."""
    spec = dict(entry)
    references = [spec.pop("$ref", None), *(part.get("$ref") for part in spec.pop("allOf", ()))]
    for reference in references:
        if reference:
            spec = {**definitions[reference.rpartition("/")[2]], **spec}
    if "anyOf" in spec:
        spec["anyOf"] = [_resolved(part, definitions) for part in spec["anyOf"]]
    return spec


def _holds_secret(spec: Any, definitions: Mapping[str, Any]) -> bool:
    """Whether a secret is somewhere in a schema: pydantic marks it as one that is only written."""
    seen, left = set(), [spec]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            if part.get("writeOnly") is True:
                return True
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                left.append(definitions.get(reference.rpartition("/")[2]))
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
    return False


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
