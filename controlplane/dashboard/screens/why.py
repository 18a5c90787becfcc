"""Why a run waits, for an address of its own."""

from __future__ import annotations

from controlplane.dashboard.screens.block import Block
from controlplane.dashboard.screens.runs import blocks_of_wait
from runs import deployment, lineage, queries, why
from runs.models import Run


def why_of(argument: str) -> list[Block]:
    """A run by its id."""
    return blocks_of_why(queries.by_id(int(argument)) if argument.isdecimal() else queries.find(argument))


def blocks_of_why(run: Run) -> list[Block]:
    """What a run waits for; of one that does not, what its last wait was spent on."""
    blocks = blocks_of_wait(run, queries.view_of(run, deployment.counted()), lineage.NOT_SHOWN)
    shown = next(block.context for block in blocks if block.id == "why")
    waits = bool(shown["why"] or shown["first_why"] or shown["ops"])
    last = [] if waits else why.waited_before(run)
    return [*blocks, Block("not-waiting", "runs/_not_waiting.html", {"run": run, "waits": waits, "waited": last})]
