"""The form of a tag rule."""

from __future__ import annotations

from typing import Any

from django import forms

from runs import tag_limits
from runs.tag_limits import TagLimit

EACH_VALUE = "each"
ANY_VALUE = "any"
ONE_VALUE = "one"


class RuleForm(forms.Form):
    """A tag rule of the run queue."""

    key = forms.CharField(max_length=200, label="Tag", strip=True, widget=forms.TextInput(attrs={"data-key": "n"}))
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
