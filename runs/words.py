"""How spans of time are said, on the pages and by the commands alike."""

from __future__ import annotations


def whole_seconds(seconds: float) -> str:
    """The same without tenths: for a span that is counted up on a page."""
    return f"{int(seconds)}s" if seconds < 10 else duration(seconds)


def duration(seconds: float) -> str:
    """A span of time as a person reads it: 4.2s, 12s, 1m 05s, 2h 03m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole // 60 % 60:02}m"
