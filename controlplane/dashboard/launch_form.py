"""The launch form: the params that a job's author wrote, tags, a priority; and the same as one document in YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.forms import BoundField

from controlplane.dashboard import param_kinds
from controlplane.dashboard.param_fields import AS_YAML, GIVEN, NOTHING, Group, Leaf, ParamField, Value, tree
from controlplane.dashboard.param_kinds import Unreadable
from runs import launch_document, system_tags
from runs.catalog import Job
from runs.launch_document import Document, InvalidDocument


@dataclass(frozen=True)
class Shown:
    """A field as it stands on the page, or a group of them: `nodes`. `given`: the box whether there is one at all."""

    name: str
    field: BoundField | None = None
    look: str = ""
    required: bool = False
    nodes: Sequence[Shown] = ()
    given: BoundField | None = None
    text: str = ""


class LaunchForm(forms.Form):
    """What can be chosen when a job is launched, a field for each param."""

    is_yaml = False

    def __init__(self, job: Job, data: Mapping[str, Any] | None = None, document: Document | None = None) -> None:
        super().__init__(data)
        self.job = job
        self.nodes = tree(job.params)
        self.begun_with = document = document or Document()
        asked = dict(document.params)
        self._as_leaf: set[str] = set()  # groups that stand in one field
        for node in self.nodes:
            value = asked.pop(node.path.removeprefix("params."), NOTHING)
            self._add(node, value)
        self.left_out = sorted(asked)  # names of params that the job does not take
        self.fields["tags"] = forms.CharField(
            required=False,
            widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
            help_text="One a line: key=value",
            label="Run tags",
            initial="\n".join(f"{key}={value}" for key, value in document.tags.items()),
        )
        self.fields["priority"] = forms.IntegerField(
            required=False,
            min_value=-system_tags.HIGHEST_PRIORITY,
            max_value=system_tags.HIGHEST_PRIORITY,
            help_text="Higher starts first; 0 if left empty",
            initial=document.priority,
        )

    def _add(self, node: Leaf | Group, value: Value) -> None:
        """Add the fields of a node, as they were sent, or with a value to begin with."""
        sent = self.data if self.is_bound else None
        if isinstance(node, Leaf):
            begin = node.default if value is NOTHING else value
            name, field = node.field(begin) if sent is None else node.sent_field(sent)
            self.fields[name] = field
            return
        if not node.fits(value) if sent is None else node.path + AS_YAML in sent:
            self._as_leaf.add(node.path)
            self.fields[node.path + AS_YAML] = ParamField(node.leaf, param_kinds.YAML, value)
            return
        if node.nullable:
            known = node.leaf.default if value is NOTHING else value
            is_given = known not in (NOTHING, None)
            label = f"Give {node.leaf.label}"
            self.fields[node.path + GIVEN] = forms.BooleanField(required=False, initial=is_given, label=label)
        for part in node.nodes:
            inner = value.get(part.path.rpartition(".")[2], NOTHING) if isinstance(value, Mapping) else NOTHING
            self._add(part, inner)

    def clean_tags(self) -> dict[str, str]:
        try:
            return dict(param_kinds.pairs(self.cleaned_data["tags"], "key=value"))
        except Unreadable as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("priority") is not None and system_tags.PRIORITY in cleaned.get("tags", {}):
            self.add_error("priority", f"It is given twice, here and as the tag {system_tags.PRIORITY}.")
        return cleaned

    @property
    def values(self) -> dict[str, Any]:
        """The params, as far as they could be read."""
        found = {node.path.removeprefix("params."): self._value(node) for node in self.nodes}
        return {name: value for name, value in found.items() if value is not NOTHING}

    def _value(self, node: Leaf | Group) -> Value:
        if isinstance(node, Leaf) or node.path in self._as_leaf:
            name = node.path if node.path in self.fields else node.path + AS_YAML
            return self.cleaned_data.get(name, NOTHING)
        if node.nullable and not self.cleaned_data.get(node.path + GIVEN):
            return None
        found = {part.path.rpartition(".")[2]: self._value(part) for part in node.nodes}
        return {name: value for name, value in found.items() if value is not NOTHING}

    @property
    def document(self) -> Document:
        """What is asked for, as far as it could be read."""
        self.is_valid()
        return Document(self.values, self.cleaned_data.get("tags", {}), self.cleaned_data.get("priority"))

    def take_errors(self, errors: Mapping[str, str]) -> None:
        """Show what a launch refused beside the fields that it names. What could not even be read has its error."""
        for path, text in errors.items():
            name, within = self._place(path)
            said = "Required." if text == "required" else text
            if name is None or name not in self.errors:
                self.add_error(name, f"{within}: {said}" if within else said)

    def _place(self, path: str) -> tuple[str | None, str]:
        """The field that is nearest to a path, and the rest of the path in words."""
        at = path
        while at:
            name = next((name for name in (at, at + AS_YAML) if name in self.fields), None)
            rest = path[len(at) :].lstrip(".")
            if name:
                item = re.fullmatch(r"\[(\d+)\]", rest)
                return name, f"Item {int(item[1]) + 1}" if item else rest
            at = at[: max(at.rfind("."), at.rfind("["), 0)]
        return None, path.removeprefix("params.").removeprefix("params")

    @property
    def shown(self) -> list[Shown]:
        """The params as they stand on the page."""
        return [self._shown(node) for node in self.nodes]

    def _shown(self, node: Leaf | Group) -> Shown:
        if isinstance(node, Leaf) or node.path in self._as_leaf:
            leaf = node if isinstance(node, Leaf) else node.leaf
            field = self[leaf.path if leaf.path in self.fields else leaf.path + AS_YAML]
            look = cast(ParamField, field.field).kind.look
            return Shown(leaf.label, field, look, leaf.required and not leaf.nullable and look != "switch")
        given = self[node.path + GIVEN] if node.nullable else None
        text = str(node.leaf.spec.get("description", ""))
        return Shown(node.leaf.label, nodes=[self._shown(part) for part in node.nodes], given=given, text=text)


class YamlForm(forms.Form):
    """The same as one document."""

    is_yaml = True
    left_out: Sequence[str] = ()

    text = forms.CharField(
        label="Params, tags and priority",
        help_text="In YAML. What is left out is its default.",
        strip=False,
        required=False,
        widget=forms.Textarea(attrs={"rows": 20, "spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, job: Job, data: Mapping[str, Any] | None = None, document: Document | None = None) -> None:
        self.begun_with = document = document or Document()
        super().__init__(data, initial={"text": launch_document.as_text(document, job)})
        self.job = job
        self._document = Document()

    def clean_text(self) -> str:
        try:
            self._document = launch_document.parse(self.cleaned_data["text"])
        except InvalidDocument as error:
            raise forms.ValidationError(error.errors) from error
        return self.cleaned_data["text"]

    def clean(self) -> dict[str, Any]:
        if self._document.priority is not None and system_tags.PRIORITY in self._document.tags:
            self.add_error("text", f"priority: it is given twice, here and as the tag {system_tags.PRIORITY}.")
        return super().clean() or {}

    @property
    def document(self) -> Document:
        """What is asked for; nothing, if it could not be read."""
        self.is_valid()
        return self._document

    def take_errors(self, errors: Mapping[str, str]) -> None:
        """Show what a launch refused, each with its path."""
        if "text" not in self.errors:
            for path, text in errors.items():
                self.add_error("text", f"{path}: {text}" if path else text)
