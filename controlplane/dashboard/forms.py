"""Forms: limits and rules, and the launch form that is made from the params that a job's author wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from django import forms

from runs import params, system_tags, tag_limits
from runs.catalog import Job
from runs.tag_limits import TagLimit

EACH_VALUE = "each"
ANY_VALUE = "any"
ONE_VALUE = "one"


class RuleForm(forms.Form):
    """A tag rule of the run queue."""

    key = forms.CharField(max_length=200, label="Tag", strip=True)
    kind = forms.ChoiceField(
        label="Counts",
        choices=[
            (ONE_VALUE, "runs with this value"),
            (ANY_VALUE, "runs with any value, together"),
            (EACH_VALUE, "each value on its own"),
        ],
        initial=ONE_VALUE,
    )
    value = forms.CharField(max_length=500, required=False, strip=True)
    limit = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=1)
    why = forms.CharField(max_length=500, required=False, label="Reason (optional)")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind, value = cleaned.get("kind"), cleaned.get("value", "")
        if kind == ONE_VALUE and not value and "value" not in self.errors:
            self.add_error("value", "Write the value that is counted, or choose another kind.")
        if kind in (ANY_VALUE, EACH_VALUE) and value:
            self.add_error("value", "Leave this empty: every value is counted.")
        if not self.errors:
            self._check_as_written()
        return cleaned

    def _check_as_written(self) -> None:
        """What a configuration file may not say, a form may not either."""
        rule = self.rule
        entry = {"key": rule.key, "limit": rule.limit, "value": rule.value}
        try:
            tag_limits.parse_one(entry)
        except tag_limits.InvalidTagLimit as error:
            where, _, text = str(error).partition(": ")
            field = where.partition(".")[2]
            self.add_error(field if field in self.fields else None, text)

    @property
    def rule(self) -> TagLimit:
        """The rule that a valid form describes."""
        kind = self.cleaned_data["kind"]
        value = self.cleaned_data["value"] if kind == ONE_VALUE else None
        return TagLimit(self.cleaned_data["key"], self.cleaned_data["limit"], value, kind == EACH_VALUE)


class LaunchForm(forms.Form):
    """What can be chosen when a job is launched: its params, tags, a priority."""

    def __init__(self, job: Job, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.job = job
        for name, field in _param_fields(job).items():
            self.fields[f"params.{name}"] = field
        self.fields["tags"] = forms.CharField(
            required=False,
            widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
            help_text="One a line: key=value",
            label="Run tags",
        )
        self.fields["priority"] = forms.IntegerField(
            required=False,
            min_value=-system_tags.HIGHEST_PRIORITY,
            max_value=system_tags.HIGHEST_PRIORITY,
            help_text="Higher starts first; 0 if left empty",
        )

    def clean_tags(self) -> dict[str, str]:
        tags: dict[str, str] = {}
        for number, line in enumerate(self.cleaned_data["tags"].splitlines(), 1):
            if not line.strip():
                continue
            key, equals, value = line.partition("=")
            if not equals or not key.strip():
                raise forms.ValidationError(f"Line {number}: {line!r} is no tag; write key=value.")
            if key.strip() in tags:
                raise forms.ValidationError(f"Line {number}: {key.strip()} is given twice.")
            tags[key.strip()] = value.strip()
        return tags

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("priority") is not None and system_tags.PRIORITY in cleaned.get("tags", {}):
            self.add_error("priority", f"It is given twice, here and as the tag {system_tags.PRIORITY}.")
        return cleaned

    @property
    def values(self) -> dict[str, Any]:
        """The params of a valid form. An empty optional field is left to its default; a text that was cleared is ""."""
        chosen = {}
        for name, value in self.cleaned_data.items():
            if not name.startswith("params."):
                continue
            field = self.fields[name]
            is_empty = not self.data.get(name) and not isinstance(field, forms.BooleanField)
            was_cleared = name in self.data and type(field) is forms.CharField and field.initial
            if not is_empty or was_cleared:
                chosen[name.removeprefix("params.")] = value
        return chosen

    def take_errors(self, errors: Mapping[str, str]) -> None:
        """Show what a launch refused beside the fields that it names."""
        for name, text in errors.items():
            self.add_error(name if name in self.fields else None, text)


class _JSONField(forms.CharField):
    """A value that no plain input fits: written as JSON."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return text
        try:
            return json.loads(text, parse_constant=_no_value, parse_float=_finite)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}") from error
        except RecursionError as error:
            raise forms.ValidationError("This is nested too deeply.") from error


def _no_value(text: str) -> None:
    raise ValueError(f"{text} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def _param_fields(job: Job) -> dict[str, forms.Field]:
    """A form field for each param of a job, by the JSON schema of its type."""
    if job.params is None:
        return {}
    fields: dict[str, forms.Field] = {}
    for name, spec in params.fields(job.params).items():
        common: dict[str, Any] = {
            "required": spec["required"],
            "label": name,
            "help_text": spec.get("description", ""),
            "initial": spec.get("default"),
        }
        fields[name] = _field(spec, common)
    return fields


def _field(spec: Mapping[str, Any], common: dict[str, Any]) -> forms.Field:
    choices = [(str(value), str(value)) for value in params.choices(spec)]
    if choices:
        if not common["required"] and common["initial"] is None:
            choices.insert(0, ("", "—"))
        return forms.ChoiceField(choices=choices, **common)
    match spec.get("type"):
        case "string":
            return forms.CharField(strip=False, **common)
        case "integer":
            return forms.IntegerField(**common)
        case "number":
            return forms.FloatField(**common)
        case "boolean":
            return forms.BooleanField(**{**common, "required": False})
        case _:
            initial = None if common["initial"] is None else json.dumps(common["initial"])
            help_text = " ".join(filter(None, [common["help_text"], "Written as JSON."]))
            return _JSONField(**{**common, "initial": initial, "help_text": help_text})
