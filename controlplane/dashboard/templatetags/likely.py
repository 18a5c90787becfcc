"""When something will likely start, in words."""

from __future__ import annotations

from datetime import timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.dashboard.templatetags.sluice import clock
from runs.estimates import Likely
from runs.why import ordinal

register = template.Library()
register.filter("ordinal", ordinal)

SOON, TODAY = timedelta(minutes=2), timedelta(hours=12)


@register.simple_tag
def likely(when: Likely | None) -> SafeString | str:
    """A moment, and within what it lies nine times of ten; as exact as it is near."""
    if when is None:
        return format_html('<span class="{}">not known</span>', "muted")
    left = when.late - timezone.now()
    if left < timedelta(seconds=1):
        return "at once"
    form = "time" if left < SOON else "minute" if left < TODAY else "day"
    return format_html(
        '<span class="likely"><b>≈ {}</b> <span class="muted small">{} – {}</span></span>',
        *(clock(moment, form) for moment in (when.at, when.early, when.late)),
    )
