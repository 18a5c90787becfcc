"""Draws slot strips: held cells, free cells, the gate, and a dot for each who waits. Numbers stand beside it."""

from __future__ import annotations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pools.queries import counted

PITCH = 15.0  # from one slot of a strip to the next
STRIP = 196.0  # how long the slots of a strip may be together
MOST_CELLS = 40  # beyond that a strip is one bar
MOST_DOTS = 9


def strip(name: str, in_use: int, limit: int | None, waiting: int, paused: bool = False, stuck: int = 0) -> SafeString:
    """A slot strip. Holders beyond a lowered limit stand past the gate, with a dashed edge; stuck slots are crossed."""
    inside = in_use if limit is None else min(in_use, limit)
    over = in_use - inside
    free = 0 if limit is None else limit - inside
    cells = inside + free
    if cells > MOST_CELLS:
        parts, x = _bar(inside, cells), STRIP
    else:
        pitch = min(PITCH, STRIP / max(cells, 1))
        sound = inside - min(stuck, inside)
        looks = ["held"] * sound + ["stuck"] * (inside - sound) + ["off" if paused else "free"] * free
        parts, x = _cells(looks, pitch), cells * pitch
    if limit is not None:
        parts.append(format_html('<path class="gate" d="M{} 0V22"/>', _n(x + 2)))
    x += 12
    for _ in range(min(over, 6)):
        parts.append(format_html('<rect class="held over" x="{}" y="1" width="9" height="20" rx="2.5"/>', _n(x - 4)))
        x += 12
    dots = min(waiting, MOST_DOTS)
    for index in range(dots):
        parts.append(format_html('<circle class="w" cx="{}" cy="11" r="3"/>', _n(x + index * 9)))
    x += dots * 9
    if waiting > dots:
        more = counted(waiting - dots)
        parts.append(format_html('<text class="wmore" x="{}" y="15">+{}</text>', _n(x - 2), more))
        x += 12 + 7 * len(more)
    size = _n(max(x, 24.0))
    return format_html(
        '<svg class="slots" viewBox="0 0 {0} 22" width="{0}" height="22" role="img" aria-label="{1}">{2}</svg>',
        size,
        _in_words(name, in_use, limit, waiting, paused, stuck),
        format_html_join("", "{}", ((part,) for part in parts)),
    )


def _bar(inside: int, cells: int) -> list[SafeString]:
    """So many slots that they are one bar, filled as far as they are held."""
    held = format_html('<rect class="held" x="0.6" y="1" width="{}" height="20" rx="2.5"/>', _n(STRIP * inside / cells))
    free = format_html('<rect class="free" x="0.6" y="1" width="{}" height="20" rx="2.5"/>', _n(STRIP - 1.2))
    return [held, free]


def _cells(looks: list[str], pitch: float) -> list[SafeString]:
    """A cell for each slot."""
    width = pitch - min(4.2, pitch * 0.28)
    parts = []
    for index, look in enumerate(looks):
        x = index * pitch + 0.6
        parts.append(
            format_html('<rect class="{}" x="{}" y="1" width="{}" height="20" rx="2.5"/>', look, _n(x), _n(width))
        )
        if look == "stuck":
            middle, arm = x + width / 2, width * 0.24
            ends = (_n(middle - arm), _n(11 - arm), _n(middle + arm), _n(11 + arm))
            parts.append(format_html('<path class="cross" d="M{0} {1}L{2} {3}M{2} {1}L{0} {3}"/>', *ends))
    return parts


def _in_words(name: str, in_use: int, limit: int | None, waiting: int, paused: bool, stuck: int) -> str:
    words = f"{name}: {in_use} in use, no limit" if limit is None else f"{name}: {in_use} of {limit} slots in use"
    words += f", {stuck} stuck" if stuck else ""
    words += ", paused" if paused else ""
    return words + (f", {counted(waiting)} waiting" if waiting else "")


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")
