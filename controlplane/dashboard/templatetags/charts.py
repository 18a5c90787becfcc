"""Sparklines."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.dashboard.charts import geometry
from controlplane.dashboard.charts.geometry import Area, Series
from controlplane.dashboard.charts.ranges import Window
from pools.samples import Peak

register = template.Library()

WIDTH, HEIGHT = 96, 24


@register.simple_tag
def spark(
    title: str,
    peaks: Sequence[Peak] | None,
    window: Window,
    shows: str = "in_use",
    look: str = "",
    before: Sequence[Peak] = (),
    window_before: Window | None = None,
) -> SafeString | str:
    """A small chart of a range: use with its limit, or who waits, and the same a week before. Nothing where there is
    nothing to show.
    """
    peaks = peaks or ()
    if not any(peak.waiting or shows == "in_use" for peak in (*peaks, *before)):
        return ""
    width = window.range.period
    count = -(-(window.end - window.start) // width)
    series = geometry.slots(((peak.at, getattr(peak, shows)) for peak in peaks), window.start, width, count)
    start = window_before.start if window_before else window.start
    then = geometry.slots(((peak.at, getattr(peak, shows)) for peak in before), start, width, count)
    limits = [peak.limit for peak in peaks if peak.limit is not None] if shows == "in_use" else []
    values, values_then = ([value for value in each if value is not None] for each in (series, then))
    most = float(max([*values, *values_then, *limits], default=0) or 1)
    area = Area(0, 2, WIDTH, HEIGHT - 2)
    series, then = _whole_pixels(series, area, most), _whole_pixels(then, area, most)
    limit = geometry.slots(((peak.at, peak.limit) for peak in peaks), window.start, width, count) if limits else []
    allowed = f", limit {limits[-1]}" if limits else ""
    says = f"{shows.replace('_', ' ')}: at most {max(values, default=0):g}{allowed}"
    says += f", a week ago at most {max(values_then):g}" if values_then else ""
    return format_html(
        '<svg class="spark {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="under" d="{}"/>{}{}<path d="{}"/></svg>',
        look or {"in_use": "used", "waiting": "waiting"}[shows],
        WIDTH,
        HEIGHT,
        f"{title}, {window.range.words}, {says}",
        geometry.surface(series, area, area.height),
        format_html('<path class="limit" d="{}"/>', geometry.line(limit, area, most)) if limits else "",
        format_html('<path class="past" d="{}"/>', geometry.line(then, area, area.height)) if values_then else "",
        geometry.line(series, area, area.height),
    )


def _whole_pixels(series: Series, area: Area, most: float) -> list[float | None]:
    """What a sparkline says is its shape, and a page has many of them."""
    return [None if value is None else round(value * area.height / most) for value in series]
