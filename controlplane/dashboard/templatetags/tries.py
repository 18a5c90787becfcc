"""What befell the attempts of an op, in icons and words."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from controlplane.dashboard.templatetags.sluice import badge
from runs import verdict
from runs.models import OpEvent

register = template.Library()

# Icon, class, word. The colour repeats what shape and word say.
LOOKS = {
    verdict.FAILED: ("fail", "is-fail", "Failed"),
    verdict.CRASHED: ("crash", "is-fail", "Crashed"),
    verdict.LOST: ("lost", "is-fail", "Lost its worker"),
    verdict.TIMED_OUT: ("clock", "is-fail", "Timed out"),
    verdict.STOPPED: ("off", "is-off", "Stopped"),
    verdict.GIVEN_BACK: ("back", "is-queue", "Given back"),
    verdict.LATE: ("late", "is-stuck", "Late, refused"),
    verdict.RETRIED: ("redo", "is-run", "Retried by hand"),
    verdict.GAVE_UP: ("x", "is-off", "Given up"),
}


@register.simple_tag
def befell(event: OpEvent) -> SafeString:
    """What an event was."""
    return badge(*LOOKS[event.kind], pill=False)


@register.filter
def ran_for(event: OpEvent) -> float | None:
    """For how many seconds the attempt ran that this ended, None where it ended none."""
    return (event.at - event.started_at).total_seconds() if event.started_at else None
