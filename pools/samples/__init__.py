"""How limits stood over time: samples of ten seconds, rolled up to minutes and hours. Knows no run."""

from __future__ import annotations

from pools.samples.reading import Peak, Span, history, peaks
from pools.samples.store import FINEST, STEPS, Level, prune, record, roll_up

__all__ = ["FINEST", "STEPS", "Level", "Peak", "Span", "history", "peaks", "prune", "record", "roll_up"]
