"""The log of a run: whose it is, and up to which line it goes. The lines themselves are fetched by who reads them."""

from __future__ import annotations

from controlplane.dashboard.screens.block import Block
from runs import log_lines, queries
from runs.models import Run


def log(argument: str) -> list[Block]:
    """The log of a run by the run's id."""
    return blocks_of_log(queries.by_id(int(argument)) if argument.isdecimal() else queries.find(argument))


def blocks_of_log(run: Run, live: bool = True) -> list[Block]:
    """The parts of a log's page that change by themselves; the second only where new lines are waited for."""
    head = Block("log-head", "runs/_log_head.html", {"run": run})
    return [head, Block("log-pulse", "runs/_log_pulse.html", {"last": log_lines.last_id(run.pk)})] if live else [head]
