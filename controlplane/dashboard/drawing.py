"""Draws the live blocks of screens for everybody: for the stream, and for who asks every few seconds."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from controlplane.dashboard import screens

log = logging.getLogger(__name__)

# The clocks on a page go on by themselves: that one of them shows more than before is no change.
_COUNTING = re.compile(r"(<time\b[^>]*\sdata-(?:since|until)=[^>]*>)[^<]*")


def draw(topic: str) -> dict[str, str]:
    """The HTML of each block of a screen, by its id. Nothing for a screen that there is not."""
    try:
        return {block.id: block.draw().strip() for block in screens.blocks_of(topic)}
    except screens.NoSuchScreen:
        return {}
    except Exception:
        log.exception("the screen %s could not be drawn", topic)
        return {}


def draw_all(topics: Iterable[str]) -> dict[str, str]:
    """The blocks of several screens."""
    return {name: html for topic in topics for name, html in draw(topic).items()}


def still(html: str) -> str:
    """What of a block only changes when something has happened."""
    return _COUNTING.sub(r"\1", html)
