"""Filters of runs as addresses and in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse

from runs import filters
from runs.filters import Filter

register = template.Library()

GROUPS = {
    "": "All",
    "queued": "Queued",
    "progress": "In progress",
    "success": "Succeeded",
    "failure": "Failed",
    "canceled": "Canceled",
}
SPANS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days"}


@register.simple_tag
def filtered(wanted: Filter, page: str = "runs", before: int | None = None, **changes: Any) -> str:
    """The runs page, or another page that takes the same, with a filter; with parts of it changed."""
    query = replace(wanted, **changes).query() | ({} if before is None else {"before": str(before)})
    return reverse(page) + ("?" + urlencode(query) if query else "")


@register.simple_tag
def run_groups() -> list[tuple[str, str]]:
    """The groups of states, and how they are called."""
    return list(GROUPS.items())


@register.simple_tag
def run_spans() -> list[tuple[str, str]]:
    """The spans up to now, and how they are called."""
    return list(SPANS.items())


@register.simple_tag
def ways_out(wanted: Filter) -> list[tuple[str, str, str]]:
    """What to do where nothing matches: a verb, what to do it with, and where that leads."""
    called = SPANS | {name: label.lower() for name, label in GROUPS.items()}
    return [(verb, called.get(what, what), filtered(less)) for verb, what, less in filters.wider(wanted)]


@register.filter
def span_in_words(span: str) -> str:
    return SPANS.get(span, "")
