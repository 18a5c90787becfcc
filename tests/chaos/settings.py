"""The settings of a deployment under chaos: those of the project, with a lease that may be shorter.

Its launchers live on one machine and say that they live on several, as CHAOS_PLACE names them.
"""

from __future__ import annotations

import os

from controlplane.settings import *  # noqa: F403
from runs import parentage

LEASE_SECONDS = float(os.environ["CHAOS_LEASE"])
CANCEL_GRACE_SECONDS = 2.0

if place := os.environ.get("CHAOS_PLACE"):
    parentage.here = lambda: place
