"""The fields of a form for the params of a job: one for each value, in groups where a type stands in a type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from controlplane.dashboard import param_kinds
from controlplane.dashboard.param_kinds import YAML, Kind, Unreadable
from runs import params

NOTHING: Any = object()  # no value: the field is left out, and the type's own default counts
AS_YAML, GIVEN = ":yaml", ":given"  # ends of the names of fields, see `Leaf` and `Group`

Value = Any


@dataclass(frozen=True)
class Leaf:
    """A param that has a field of its own.

    The field has its path as its name. Where it holds a value that its kind can't show, the name ends in AS_YAML, and
    the value is written so.
    """

    path: str
    spec: Mapping[str, Any]
    kind: Kind
    required: bool
    nullable: bool
    default: Value
    may_be_hidden: bool  # it stands in a group that need not be given

    @property
    def label(self) -> str:
        return self.path.rpartition(".")[2]

    def field(self, value: Value) -> tuple[str, ParamField]:
        """The name of its field, and the field, with a value to begin with."""
        if value is NOTHING or (value is None and self.nullable) or self.kind.fits(value):
            return self.path, ParamField(self, self.kind, value)
        return self.path + AS_YAML, ParamField(self, YAML, value)

    def sent_field(self, data: Mapping[str, Any]) -> tuple[str, ParamField]:
        """The same for what a form sent back."""
        as_yaml = self.path + AS_YAML in data
        return self.path + AS_YAML * as_yaml, ParamField(self, YAML if as_yaml else self.kind, NOTHING)


@dataclass(frozen=True)
class Group:
    """A param that is an object. If it need not be given, a box with its path and GIVEN says whether it is."""

    leaf: Leaf  # the same in one field, as YAML
    nullable: bool
    nodes: tuple[Leaf | Group, ...]

    @property
    def path(self) -> str:
        return self.leaf.path

    def fits(self, value: Value) -> bool:
        """Whether its fields can show a value."""
        known = {node.path.rpartition(".")[2] for node in self.nodes}
        return (
            value is NOTHING
            or (value is None and self.nullable)
            or (isinstance(value, Mapping) and set(value) <= known)
        )


def tree(kind: type | None) -> tuple[Leaf | Group, ...]:
    """The params of a job, by the schema of their type."""
    specs = params.fields(kind) if kind else {}
    return tuple(_node(f"params.{name}", spec, spec["must_be_given"], NOTHING, False) for name, spec in specs.items())


def _node(path: str, written: Mapping[str, Any], required: bool, given: Value, hidden: bool) -> Leaf | Group:
    """`given`: what the default of the group says for it."""
    spec, nullable = params.plain(written)
    default = written.get("default", NOTHING) if given is NOTHING else given
    kind = param_kinds.kind_of(spec)
    if nullable and kind is param_kinds.SWITCH:
        kind = param_kinds.YES_NO_NONE
    leaf = Leaf(path, spec, kind, required, nullable, default, hidden)
    if spec.get("type") != "object" or not spec.get("properties") or spec.get("additionalProperties"):
        return leaf
    needed = spec.get("required", ())
    nodes = tuple(
        _node(
            f"{path}.{name}",
            part,
            name in needed,
            default.get(name, NOTHING) if isinstance(default, Mapping) else NOTHING,
            hidden or nullable,
        )
        for name, part in spec["properties"].items()
    )
    return Group(leaf, nullable, nodes)


class ParamField(forms.Field):
    """The field of a leaf. What it cleans is the value that a text means, NOTHING for none."""

    def __init__(self, leaf: Leaf, kind: Kind, value: Value) -> None:
        self.leaf, self.kind = leaf, kind
        super().__init__(
            required=False,
            widget=_widget(leaf, kind),
            label=leaf.label,
            help_text=_help(leaf, kind),
            initial=self._shown(value),
        )

    def _shown(self, value: Value) -> Any:
        """A value as the widget takes it."""
        if value is NOTHING or (value is None and self.kind is not YAML):
            return [] if self.kind.look == "ticks" else None
        if value is None and self.leaf.default is None:
            return None
        text = self.kind.write(value)
        return {"ticks": text.splitlines(), "switch": text == "true"}.get(self.kind.look, text)

    def clean(self, value: Any) -> Value:
        if self.kind.look == "switch":
            return bool(value)
        if value is None:
            return NOTHING
        text = "\n".join(value) if isinstance(value, list) else str(value)
        if not text.strip() and (text == "" or self.kind.look not in ("text", "long")):
            return self._empty()
        try:
            return self.kind.read(text)
        except Unreadable as error:
            raise forms.ValidationError(str(error)) from error

    def _empty(self) -> Value:
        """What it means that nothing is written."""
        look, default = self.kind.look, self.leaf.default
        if look == "yaml":
            return NOTHING
        if look == "ticks":
            return []
        if self.leaf.nullable:
            return None
        cleared: dict[str, Value] = {"text": "", "long": "", "lines": [], "entries": {}}
        return NOTHING if default is NOTHING else cleared.get(look, default)


def _widget(leaf: Leaf, kind: Kind) -> forms.Widget:
    attrs = dict(_attributes(leaf, kind))
    match kind.look:
        case "switch":
            return forms.CheckboxInput(attrs)
        case "choice":
            blank = [] if leaf.default is not NOTHING and not leaf.nullable else [("", "—")]
            return forms.Select(attrs, choices=[*blank, *kind.options])
        case "ticks":
            return forms.CheckboxSelectMultiple(choices=kind.options)
        case "long" | "lines" | "entries" | "yaml":
            return forms.Textarea(attrs)
        case "integer" | "number":
            return forms.NumberInput(attrs)
        case look:
            widget = forms.TextInput(attrs)
            widget.input_type = look
            return widget


def _attributes(leaf: Leaf, kind: Kind) -> Iterator[tuple[str, Any]]:
    spec, look = leaf.spec, kind.look
    if leaf.required and not leaf.nullable and not leaf.may_be_hidden and look not in ("switch", "ticks"):
        yield "required", True
    if look in ("long", "lines", "entries", "yaml"):
        yield "rows", 2 if look == "yaml" and "type" not in spec else 3
    if look not in ("switch", "choice", "ticks"):
        yield "spellcheck", "false"
        yield "autocomplete", "off"
    if look in ("integer", "number"):
        yield "step", 1 if look == "integer" else "any"
        for name, attribute in (("minimum", "min"), ("maximum", "max")):
            if name in spec:
                yield attribute, spec[name]
        if leaf.default is not NOTHING and leaf.default is not None:
            yield "placeholder", leaf.default
    if look == "time":
        yield "step", "any"
    if look == "text":
        if "maxLength" in spec:
            yield "maxlength", spec["maxLength"]
        if spec.get("format") in EXAMPLES:
            yield "placeholder", EXAMPLES[spec["format"]]


EXAMPLES = {
    "date-time": "2026-11-25T14:00:00Z",
    "duration": "01:30:00",
    "uuid": "b1d5a7e2-0c4f-4b7e-9a51-5f0e6a3c2d18",
}
FORMATS = {
    "date-time": "A date and a time; with Z or an offset such as +01:00 it is in that zone.",
    "time": "A time of day.",
    "duration": "A span of time: hours, minutes and seconds, or P1DT2H.",
    "uuid": "A UUID.",
    "path": "A path.",
    "binary": "Taken as the bytes of this text.",
}
HINTS = {
    "lines": "One a line.",
    "entries": "One a line: key = value.",
    "yaml": "Written as YAML.",
}


def _help(leaf: Leaf, kind: Kind) -> str:
    """What a field takes, in a few sentences."""
    described = " ".join(str(leaf.spec.get("description", "")).split())
    sentences = [described if not described or described.endswith((".", "!", "?")) else f"{described}."]
    sentences += [FORMATS.get(leaf.spec.get("format", ""), "") if kind.look == "text" else "", HINTS.get(kind.look, "")]
    if kind.look == "entries" and kind.options:
        sentences.append(f"Each is one of: {', '.join(text for text, _ in kind.options)}.")
    sentences += [f"{said[:1].upper()}{said[1:]}." for said in bounds(leaf.spec)]
    if leaf.nullable and kind.look not in ("choice", "yaml"):
        sentences.append("Empty: none.")
    return " ".join(filter(None, sentences))


def bounds(spec: Mapping[str, Any]) -> list[str]:
    """What a value must satisfy beside its type, in words."""
    least, most = (_number(spec.get(name)) for name in ("minimum", "maximum"))
    said = [f"{least} to {most}"] if least is not None and most is not None else []
    if not said:
        said += [f"{least} or more"] if least is not None else []
        said += [f"{most} or less"] if most is not None else []
    words = {
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "multipleOf": "a multiple of {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "pattern": "matches {}",
        "minItems": "at least {} of them",
        "maxItems": "at most {} of them",
    }
    said += [form.format(_number(spec[name])) for name, form in words.items() if name in spec]
    return [*said, "each once"] if spec.get("uniqueItems") else said


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
