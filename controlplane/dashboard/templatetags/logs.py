"""How lines of a log look, on pages and in files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from django import template
from django.utils.safestring import SafeString

from controlplane.dashboard.templatetags.sluice import badge
from runs.models import LogLine

register = template.Library()

# Icon, class, word. The colour repeats what shape and word say.
LOOKS = {
    "CRITICAL": ("fail", "is-fail", "critical"),
    "ERROR": ("fail", "is-fail", "error"),
    "WARNING": ("warn", "is-wait", "warning"),
    "INFO": ("info", "is-off", "info"),
    "DEBUG": ("debug", "is-off", "debug"),
    "STDOUT": ("print", "is-off", "stdout"),
    "STDERR": ("print", "is-off", "stderr"),
}


@register.simple_tag
def level(line: LogLine) -> SafeString:
    """The level of a line: icon, word and colour."""
    return badge(*LOOKS.get(line.level, ("info", "is-off", line.level.lower())), pill=False)


def as_text(lines: Iterable[LogLine]) -> str:
    """Lines as they stand in a file: time, level, op with its attempt, text."""
    return "".join(
        f"{line.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{line.at.microsecond // 1000:03}Z"
        f" {line.level:<8} {line.op.key}{f'#{line.attempt}' if line.attempt > 1 else ''}  {line.text}\n"
        for line in lines
    )
