"""How lines of a log look, on pages and in files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from controlplane.dashboard.templatetags.sluice import badge, clock
from runs.models import LogLine, Run

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


def _plain_level(line: LogLine) -> SafeString:
    name, look, word = LOOKS.get(line.level, ("info", "is-off", line.level.lower()))
    return format_html('<span class="lv {} lv-{}">{}</span>', look, name, word)


@register.simple_tag
def log_items(run: Run, lines: Sequence[LogLine], marked: int | None = None) -> SafeString:
    """Lines as the items of a list. Put together here: of 500 lines a template would make ten times the work.

    As few elements as may be, since a page has so many lines: the icon of a level comes from its style sheet.
    """
    here = reverse("run-logs", args=[run.uid])
    pages = {key: reverse("op", args=[run.uid, key]) for key in {line.op.key for line in lines}}
    levels = {line.level: _plain_level(line) for line in lines}
    is_marked = mark_safe(' id="marked" class="marked" aria-current="true"')
    return format_html_join(
        "\n",
        '<li data-line="{}"{}><a class="at" href="{}?line={}#marked">{}</a>{}<a class="of" href="{}">{}</a>{}</li>',
        (
            (
                line.pk,
                is_marked if line.pk == marked else "",
                here,
                line.pk,
                clock(line.at, "exact"),
                levels[line.level],
                pages[line.op.key],
                f"{line.op.key} #{line.attempt}" if line.attempt > 1 else line.op.key,
                line.text,
            )
            for line in lines
        ),
    )


def as_text(lines: Iterable[LogLine]) -> str:
    """Lines as they stand in a file: time, level, op with its attempt, text."""
    return "".join(
        f"{line.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{line.at.microsecond // 1000:03}Z"
        f" {line.level:<8} {line.op.key}{f'#{line.attempt}' if line.attempt > 1 else ''}  {line.text}\n"
        for line in lines
    )
