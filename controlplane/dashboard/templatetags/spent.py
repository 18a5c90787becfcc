"""Where time went: parts of it in words, as durations that grow, and as one bar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs import spans, time_split
from runs.models import Run
from runs.time_split import Part
from runs.words import duration, whole_seconds

register = template.Library()

# What each part of a run's time is called: by the clock, and of all ops together.
BY_CLOCK = {
    time_split.QUEUED: "In the run queue",
    spans.RUNNING: "Ops running",
    spans.STARTING: "Ops starting",
    spans.WAITING: "Ops only waiting",
    spans.DELAYED: "Between attempts",
    time_split.UNKNOWN: "Not recorded",
}
TOGETHER = {
    spans.RUNNING: "Running",
    spans.STARTING: "Starting",
    spans.WAITING: "Waiting",
    spans.DELAYED: "Between attempts",
}


@register.filter
def by_clock(part: Part) -> str:
    """What a part of a run's own time is called."""
    return BY_CLOCK[part.kind]


@register.filter
def together(part: Part) -> str:
    """What a part of the time of all its ops is called."""
    return TOGETHER[part.kind]


@register.filter
def in_all(run: Run) -> str:
    """How long a run that is over took, from its launch to its end."""
    return "" if run.ended_at is None else duration((run.ended_at - run.queued_at).total_seconds())


@register.simple_tag
def lasting_part(part: Part) -> SafeString | str:
    """How long a part lasted. One that grows goes on counting on the page, several times as fast where several do."""
    text = whole_seconds(part.seconds) if part.grows or part.seconds == int(part.seconds) else duration(part.seconds)
    if not part.grows:
        return text
    began = timezone.now() - timedelta(seconds=part.seconds / part.grows)
    times = format_html(' data-times="{}"', part.grows) if part.grows > 1 else ""
    return format_html(
        '<time class="tn" datetime="PT{}S" data-since="{}"{}>{}</time>',
        int(part.seconds),
        began.isoformat(),
        times,
        text,
    )


@register.simple_tag
def split_bar(parts: Sequence[Part]) -> SafeString:
    """The parts of a run's time as one bar."""
    whole = sum(part.seconds for part in parts) or 1.0
    bars, x = [], 0.0
    for part in parts:
        width = part.seconds / whole * 100
        bars.append((f"s-{part.kind or 'unknown'}", f"{x:.2f}%", f"{width:.2f}%"))
        x += width
    words = ", ".join(f"{BY_CLOCK[part.kind]} {duration(part.seconds)}" for part in parts)
    return format_html(
        '<svg class="split" role="img" aria-label="{}" width="100%" height="14">{}</svg>',
        words or "Nothing yet",
        format_html_join("", '<rect class="{}" x="{}" width="{}" y="0" height="14"/>', bars),
    )
