"""What is in force for runs at this moment: the tag rules of the run queue, and who holds the slots of pools."""

from __future__ import annotations

from collections.abc import Iterable

from pools.models import Pool, PoolSettings
from runs.admission import Granularity, Rule
from runs.models import TagRule
from runs.tag_limits import TagLimit

ENTERING, FORCE, LEAVING = "entering", "force", "leaving"  # the phases of a rule


def rules() -> list[Rule]:
    """The tag rules that a run is counted by: those in force, and those that are about to be."""
    return [as_rule(row) for row in TagRule.objects.exclude(phase=LEAVING).order_by("id")]


def entering() -> list[Rule]:
    """The rules that count, and limit nothing yet."""
    return [as_rule(row) for row in TagRule.objects.filter(phase=ENTERING).order_by("id")]


def as_rule(row: TagRule) -> Rule:
    """A row as the rule that it is."""
    return Rule(row.pk, TagLimit(row.key, row.limit, row.value, row.per_value), row.phase == FORCE)


def granularity(pools: Iterable[str] | None = None) -> Granularity:
    """Who holds the slots of these pools, of all if none are named."""
    own = Pool.objects.exclude(granularity="")
    if pools is not None:
        own = own.filter(name__in=list(pools))
    return Granularity(PoolSettings.objects.get().granularity, dict(own.values_list("name", "granularity")))
