"""What a run's priority may be, and changing it: alone and summed with its ops' it stays in a database's range."""

from __future__ import annotations

from django.db.models import Max, Min

from runs import system_tags, transitions
from runs.models import Op, Run
from runs.transitions import Overtaken

__all__ = ["HIGHEST", "InvalidPriority", "Overtaken", "change", "check"]

HIGHEST = system_tags.HIGHEST_PRIORITY


class InvalidPriority(ValueError):
    """A priority that is not allowed. The text names the value and what is allowed."""


def check(value: object, largest_of_ops: int) -> int:
    """`value` as a priority, for a run whose ops' own priorities are at most `largest_of_ops` from 0.

    Raises InvalidPriority.
    """
    number = system_tags.as_priority(value)
    if number is None or abs(number) + largest_of_ops > HIGHEST:
        raise InvalidPriority(
            f"{value!r} is not allowed: use a whole number; "
            f"alone and summed with the op's it must be within +-{HIGHEST}."
        )
    return number


def change(run: Run, value: object, seen: int | None = None) -> int | None:
    """Give a run another priority; it and its waiting ops take their new places at once.

    Returns the one that it had. None: the run is over, nothing was changed. With `seen`, only a run that has this
    priority is given another. Raises InvalidPriority, Overtaken.
    """
    own = Op.objects.filter(run=run).aggregate(least=Min("priority", default=0), most=Max("priority", default=0))
    return transitions.set_priority(run.pk, check(value, max(abs(own["least"]), abs(own["most"]))), seen)
