"""The last runs of a job as a row of bars."""

from __future__ import annotations

from datetime import UTC

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.dashboard.templatetags.sluice import RUN_LOOKS, badge, icon
from runs.models import Run
from runs.words import duration

register = template.Library()

TALLEST, SHORTEST = 44, 4  # of a bar


@register.simple_tag
def run_bar(run: Run, longest: float) -> SafeString:
    """A run: a bar as tall as it took long, with the icon and, for who reads or points, the words of its state."""
    name, look, word = RUN_LOOKS[run.state]
    took = (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None
    height = TALLEST if took is None else max(SHORTEST, round(TALLEST * took / longest)) if longest else SHORTEST
    words = (
        f"{word}{f' in {duration(took)}' if took is not None else ''}, {run.queued_at.astimezone(UTC):%d %b %H:%M} UTC"
    )
    return format_html(
        '<span class="{0}" title="{1}, {2}"><svg width="14" height="{3}" aria-hidden="true">'
        '<rect class="{4}" y="{5}" width="14" height="{6}" rx="3"/></svg>{7}<span class="vh">{1}, {2}</span></span>',
        look,
        words,
        run.short,
        TALLEST,
        "b" if took is not None else "b open",
        TALLEST - height,
        height,
        icon(name),
    )


@register.simple_tag
def count_of(state: str, count: int) -> SafeString:
    """How many runs stand in a state."""
    name, look, word = RUN_LOOKS[state]
    return badge(name, look, f"{count} {word.lower()}", pill=False)
