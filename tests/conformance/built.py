"""What the engine has of the contract. A scenario that needs more is played by the reference model alone."""

from __future__ import annotations

GRANULARITY = "granularity"  # pools held by a run from its start to its end
POOL_CHECK = "pool check"  # runs held back in the queue while the pools of all their root ops are taken
RESERVATION = "reservation"  # slots kept for whoever was overtaken for too long

PARTS = frozenset({GRANULARITY, POOL_CHECK, RESERVATION})

# Whoever builds a part adds it here; its scenarios then run against the decision and the engine, too.
BUILT: set[str] = {GRANULARITY, POOL_CHECK, RESERVATION}
