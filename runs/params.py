"""The params of a job: checks values against the type that the author wrote, and says which field is wrong."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from pools.limits import named, shown
from runs.definitions.checks import is_storable

MOST_NESTED = 8  # types within types


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
    within = {path: text for name, value in values.items() for path, text in _unknown_within(name, value, specs[name])}
    if within:
        raise InvalidParams(within)
    chosen = {name: _as_choice(value, specs[name]) for name, value in values.items()}
    try:
        dumped = _adapter(params).dump_python(_validated(params, chosen), mode="json", warnings=False)
        checked = {name: dumped[name] for name in known}
        restore(params, checked)  # defaults are not checked by the first look
    except ValidationError as error:
        raise InvalidParams(_by_path(error, specs)) from error
    except Exception as error:  # of the author's own code, a validator or __post_init__; or nested too deeply
        raise InvalidParams({"": f"not accepted: {type(error).__name__}: {error}"}) from error
    errors = {name: why for name, entry in checked.items() if (why := why_not_kept(entry))}
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
    """The JSON schema of each param, from which the launch form is made: what it refers to is merged in, as deep as
    MOST_NESTED, and `must_be_given` says whether it must be. A list, a mapping or an object has the default that its
    factory makes.

    Raises UnusableParams for a type of which no run could be launched.
    """
    name = params.__name__
    try:
        schema = _adapter(params).json_schema(by_alias=False)
    except Exception as error:  # pydantic's own errors have no common class, and the author's code runs too
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnusableParams(f"{name}: {reason[0]}") from error
    definitions = schema.get("$defs", {})
    schema = {**definitions.get(schema.get("$ref", "").rpartition("/")[2], {}), **schema}  # it stands in itself
    found, required = schema.get("properties", {}), set(schema.get("required", ()))
    if schema.get("type") != "object":
        raise UnusableParams(f"{name}: it has no fields; use a dataclass or a pydantic model with some")
    known = field_names(params)
    for field in sorted(required.difference(known)):
        raise UnusableParams(f"{name}.{field} must be given and can't be kept: make it a field, or give it a default")
    specs = {field: _resolved(found[field], definitions) for field in known}
    for field, spec in specs.items():
        if _holds_secret(found[field], definitions):
            raise UnusableParams(
                f"{name}.{field} is a secret: params are kept and shown; give secrets to the workers' environment"
            )
        spec["must_be_given"] = field in required
        if "default" not in spec and field not in required and plain(spec)[0].get("type") in ("array", "object"):
            spec |= _made_by_factory(params, field)
    return specs


def plain(spec: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """A schema without the null that it also takes, and whether it takes null. What may be several things is `{}`."""
    if "anyOf" not in spec:
        return dict(spec), False
    parts = [part for part in spec["anyOf"] if part.get("type") != "null"]
    nullable = len(parts) < len(spec["anyOf"])
    said = {key: value for key, value in spec.items() if key != "anyOf"}
    if {part.get("type") for part in parts} == {"number", "string"} and len(parts) == 2:  # how a Decimal is described
        parts = [{**next(part for part in parts if part["type"] == "number"), "format": "decimal"}]
    return {**(parts[0] if len(parts) == 1 else {}), **said}, nullable


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


def _resolved(entry: Mapping[str, Any], definitions: Mapping[str, Any], within: tuple[str, ...] = ()) -> dict[str, Any]:
    """A schema entry with what it refers to merged in. A reference to what it stands in is left as it is."""
    spec = dict(entry)
    for reference in [spec.get("$ref"), *(part.get("$ref") for part in spec.pop("allOf", ()))]:
        if not reference or reference in within or len(within) >= MOST_NESTED:
            continue
        spec.pop("$ref", None)
        spec, within = {**definitions[reference.rpartition("/")[2]], **spec}, (*within, reference)
    if "anyOf" in spec:
        spec["anyOf"] = [_resolved(part, definitions, within) for part in spec["anyOf"]]
    for key in ("items", "additionalProperties"):
        if isinstance(spec.get(key), Mapping):
            spec[key] = _resolved(spec[key], definitions, within)
    if "properties" in spec:
        spec["properties"] = {name: _resolved(part, definitions, within) for name, part in spec["properties"].items()}
    return spec


def _made_by_factory(params: type, name: str) -> dict[str, Any]:
    """The default that the factory of a field makes, as JSON; nothing if it makes none."""
    try:
        if issubclass(params, BaseModel):
            value = params.model_fields[name].get_default(call_default_factory=True, validated_data={})
        else:
            factory = next(
                field.default_factory for field in dataclasses.fields(cast(Any, params)) if field.name == name
            )
            value = cast(Any, factory)()
        return {"default": TypeAdapter(Any).dump_python(value, mode="json")}
    except Exception:  # it is the author's code; the launch says what is wrong with it
        return {}


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


def _by_path(error: ValidationError, specs: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in error.errors(include_url=False, include_context=False):
        text = f"{entry['msg']} (got {shown(entry['input'])})" if entry["type"] != "missing" else "required"
        found.setdefault(_path(entry["loc"], specs), text)
    return found


def _path(place: Sequence[int | str], specs: Mapping[str, Any]) -> str:
    """Where a value stands: `source.table`, `columns[1]`. It ends where pydantic names an alternative of a type."""
    if not place:
        return ""
    path, spec = str(place[0]), plain(specs.get(str(place[0]), {}))[0]
    for part in place[1:]:
        if part in spec.get("properties", ()):
            path, spec = f"{path}.{part}", plain(spec["properties"][part])[0]
        elif spec.get("type") == "array" and isinstance(part, int):
            path, spec = f"{path}[{part}]", plain(spec.get("items") or {})[0]
        elif isinstance(spec.get("additionalProperties"), Mapping) and part != "[key]":
            path, spec = f"{path}.{part}", plain(spec["additionalProperties"])[0]
        else:
            break
    return path


def _unknown_within(path: str, value: Any, spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names within a value that its type does not have: pydantic would ignore them, and so a slip of the pen."""
    spec = plain(spec)[0]
    if isinstance(value, Mapping) and "properties" in spec:
        known = spec["properties"]
        for name in value:
            if name in known:
                yield from _unknown_within(f"{path}.{name}", value[name], known[name])
            elif not spec.get("additionalProperties"):
                yield f"{path}.{named(name)}", f"unknown; there are {', '.join(known)}"
    elif isinstance(value, list) and isinstance(spec.get("items"), Mapping):
        for index, entry in enumerate(value):
            yield from _unknown_within(f"{path}[{index}]", entry, spec["items"])


def why_not_kept(value: Any) -> str | None:
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
    return next(filter(None, map(why_not_kept, within)), None)
