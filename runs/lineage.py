"""Read models of what came before: the tries of an op."""

from __future__ import annotations

from runs.models import OpEvent, Run

MOST_TRIES = 100  # of an op, on its page
MOST_OF_A_RUN = 2000


def tries(op_id: int) -> list[OpEvent]:
    """What befell the attempts of an op, the newest last; of very many the newest."""
    return list(OpEvent.objects.filter(op=op_id).order_by("-id")[:MOST_TRIES])[::-1]


def tries_of(run: Run) -> dict[int, list[OpEvent]]:
    """The same for all ops of a run, by the op's id; of very many the newest."""
    found: dict[int, list[OpEvent]] = {}
    for event in list(OpEvent.objects.filter(op__run=run).order_by("-id")[:MOST_OF_A_RUN])[::-1]:
        found.setdefault(event.op_id, []).append(event)
    return found
