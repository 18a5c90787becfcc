"""Sparklines."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.dashboard.charts import geometry
from controlplane.dashboard.charts.geometry import Area
from controlplane.dashboard.charts.ranges import Window
from pools.samples import Peak

register = template.Library()

WIDTH, HEIGHT = 96, 24


@register.simple_tag
def spark(
    title: str, peaks: Sequence[Peak] | None, window: Window, shows: str = "in_use", look: str = ""
) -> SafeString | str:
    """A small chart of a range: use with its limit, or who waits. Nothing where there is nothing to show."""
    if not peaks or (shows == "waiting" and not any(peak.waiting for peak in peaks)):
        return ""
    width = window.range.period
    count = -(-(window.end - window.start) // width)
    series = geometry.slots(((peak.at, getattr(peak, shows)) for peak in peaks), window.start, width, count)
    limits = [peak.limit for peak in peaks if peak.limit is not None] if shows == "in_use" else []
    values = [value for value in series if value is not None]
    most = float(max([*values, *limits], default=0) or 1)
    # Whole pixels: what a sparkline says is its shape, and a page has many of them.
    series = [None if value is None else round(value * (HEIGHT - 2) / most) for value in series]
    area = Area(0, 2, WIDTH, HEIGHT - 2)
    limit = geometry.slots(((peak.at, peak.limit) for peak in peaks), window.start, width, count) if limits else []
    allowed = f", limit {limits[-1]}" if limits else ""
    says = f"{shows.replace('_', ' ')}: at most {max(values, default=0):g}{allowed}"
    return format_html(
        '<svg class="spark {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="under" d="{}"/>{}<path d="{}"/></svg>',
        look or {"in_use": "used", "waiting": "waiting"}[shows],
        WIDTH,
        HEIGHT,
        f"{title}, {window.range.words}, {says}",
        geometry.surface(series, area, area.height),
        format_html('<path class="limit" d="{}"/>', geometry.line(limit, area, most)) if limits else "",
        geometry.line(series, area, area.height),
    )
