"""The words of the launch page, and the addresses that lead to it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django import template
from django.urls import reverse

from controlplane.dashboard.param_kinds import yaml_of
from runs import catalog
from runs.catalog import ASSET_JOB, Job
from runs.kept import Preset
from runs.models import Run

register = template.Library()

FEW = 3

register.filter("yaml", yaml_of)


@register.simple_tag
def launch_address(job: Job, selected: Sequence[str] | None = None) -> str:
    """The launch page of a job, or of some assets."""
    return reverse("launch-assets") if selected else reverse("launch", args=[job.name])


@register.simple_tag
def preset_address(preset: Preset) -> str:
    """The launch page, filled in from a preset."""
    where = reverse("launch-assets") if preset.job == ASSET_JOB else reverse("launch", args=[preset.job])
    return f"{where}?preset={preset.pk}"


@register.filter
def preset_of(preset: Preset) -> str:
    """What a preset launches, in words."""
    if preset.job != ASSET_JOB:
        return preset.job
    return few(preset.document.get("select", ()))


@register.simple_tag
def launch_like(run: Run) -> str:
    """The launch page, filled in as a run was launched; nothing if its job is not offered any more."""
    if run.job == ASSET_JOB:
        where = reverse("launch-assets")
    elif run.job in catalog.current().jobs:
        where = reverse("launch", args=[run.job])
    else:
        return ""
    return f"{where}?{urlencode({'from': run.uid})}"


@register.filter
def few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {more} more" if more > 0 else "")
