"""The colours of static/css/tokens.css: enough contrast, and states that differ for who sees colours otherwise.

Contrast is that of WCAG 2. Colour vision is simulated by Machado, Oliveira and Fernandes (2009) at full severity; what
is left of the difference is measured by CIEDE2000. Shape and word tell every state too; this is about the first glance.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt

import pytest

from tests.house.code import ROOT

Colour = tuple[float, float, float]  # linear RGB, 0 to 1

THEMES = ("light", "dark")
STATES = ("run", "ok", "fail", "wait", "queue", "pause", "stuck")
LEAST_APART = 10.0  # CIEDE2000

# What meets in one graphic: slots and their line; the timeline and the time split; the marks of last runs.
MEET = [
    *product(["run"], ["wait-fill", "pause", "stuck", "queue", "ok", "fail"]),
    *product(["wait-fill"], ["pause", "stuck", "ok", "queue", "fail"]),
    ("pause", "stuck"), ("ok", "fail"), ("ok", "queue"), ("fail", "queue"), ("ok", "ink-3"), ("fail", "ink-3"),
]  # fmt: skip

SEEN_BY = {
    "everybody": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


@cache
def tokens(theme: str) -> dict[str, Colour]:
    css = (ROOT / "static/css/tokens.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", css)
    return {name: linear(light if theme == "light" else dark) for name, light, dark in pairs}


def linear(written: str) -> Colour:
    digits = written[1:] if len(written) == 7 else "".join(2 * digit for digit in written[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted(0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (one, other))
    return (high + 0.05) / (low + 0.05)


def seen(colour: Colour, by: str) -> Colour:
    red, green, blue = (
        min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, colour, strict=True)))) for row in SEEN_BY[by]
    )
    return red, green, blue


def lab(colour: Colour) -> Colour:
    red, green, blue = colour
    x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883
    fx, fy, fz = (part ** (1 / 3) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(one: Colour, other: Colour) -> float:
    """CIEDE2000 of two Lab colours, in the steps and names of Sharma, Wu and Dalal (2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (hypot(a1, b1) + hypot(a2, b2)) / 2
    g = 0.5 * (1 - sqrt(mean**7 / (mean**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = hypot(a1, b1), hypot(a2, b2)
    h1, h2 = degrees(atan2(b1, a1)) % 360, degrees(atan2(b2, a2)) % 360
    turn = h2 - h1
    if c1 * c2 == 0:
        turn = 0
    elif abs(turn) > 180:
        turn -= 360 if turn > 0 else -360
    dl, dc, dh = l2 - l1, c2 - c1, 2 * sqrt(c1 * c2) * sin(radians(turn / 2))
    lm, cm, hm = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + h2) / 2
    if c1 * c2 == 0:
        hm = h1 + h2
    elif abs(h1 - h2) > 180:
        hm += 180 if h1 + h2 < 360 else -180
    t = 1 - 0.17 * cos(radians(hm - 30)) + 0.24 * cos(radians(2 * hm))
    t += 0.32 * cos(radians(3 * hm + 6)) - 0.20 * cos(radians(4 * hm - 63))
    sl = 1 + 0.015 * (lm - 50) ** 2 / sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rt = -sin(radians(60 * exp(-(((hm - 275) / 25) ** 2)))) * 2 * sqrt(cm**7 / (cm**7 + 25.0**7))
    return sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh))


def test_the_measures_agree_with_what_was_published() -> None:
    assert contrast(linear("#fff"), linear("#000")) == pytest.approx(21)
    assert contrast(linear("#777777"), linear("#fff")) == pytest.approx(4.48, abs=0.01)
    for one, other, apart in [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
        ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ]:
        assert distance(one, other) == pytest.approx(apart, abs=0.0001)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read(theme: str) -> None:
    its = tokens(theme)
    texts = [(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in ("paper", "surface", "raised")]
    texts += [(state, ground) for state in (*STATES, "accent") for ground in ("surface", "paper", f"{state}-tint")]
    texts += [("accent-ink", "accent"), ("paper", "ink"), ("ink", "accent-tint"), ("ink-3", "accent-tint")]
    texts += [(ink, f"{state}-tint") for state in STATES for ink in ("ink", "ink-2")]
    weak = {pair: round(contrast(its[pair[0]], its[pair[1]]), 2) for pair in texts}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_graphics_can_be_seen(theme: str) -> None:
    its = tokens(theme)
    graphics = [(state, ground) for state in (*STATES, "wait-fill", "outline") for ground in ("surface", "paper")]
    weak = {pair: round(contrast(its[pair[0]], its[pair[1]]), 2) for pair in graphics}
    # On paper stand only small multiples of the strip, beside their numbers.
    assert {pair: ratio for pair, ratio in weak.items() if ratio < (3.0 if pair[1] == "surface" else 2.9)} == {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("by", SEEN_BY)
def test_states_that_meet_differ(theme: str, by: str) -> None:
    its = {name: lab(seen(colour, by)) for name, colour in tokens(theme).items()}
    apart = {pair: round(distance(its[pair[0]], its[pair[1]]), 1) for pair in MEET}
    assert {pair: how_far for pair, how_far in apart.items() if how_far < LEAST_APART} == {}
