"""What a new tag rule of the run queue would do, before it is added: counted among the runs that are not over."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Subquery

from runs import present, states
from runs.models import RunTag
from runs.tag_limits import TagLimit

COUNT_TO = 10_000  # runs that are not over; with more of them nothing is said


@dataclass(frozen=True)
class RuleEffect:
    """`over`: runs in progress beyond the limit, of those with the tag; `waiting`: queued ones that it lets not start.

    Both among all that are in progress or queued.
    """

    progress: int
    tagged: int
    over: int
    queued: int
    waiting: int


def of_new(rule: TagLimit) -> RuleEffect | None:
    """What it would do now; None: too many runs are not over to count them here."""
    active = present.runs(COUNT_TO + 1)
    by_state = dict(active.order_by().values_list("state").annotate(count=Count("id")))
    if sum(by_state.values()) > COUNT_TO:
        return None
    # Asked run by run: by a join SQLite would look through all runs with such a tag.
    value_of = Subquery(RunTag.objects.filter(run=OuterRef("pk"), key=rule.key).values("value"))
    tagged = active.annotate(value=value_of).filter(value__isnull=False)
    counts: dict[str, tuple[int, int]] = {}
    for value, state, count in tagged.order_by().values_list("value", "state").annotate(count=Count("id")):
        heading = rule.counts({rule.key: value})
        if heading is not None:
            progress, queued = counts.get(heading, (0, 0))
            is_queued = state == states.QUEUED
            counts[heading] = (progress + count * (not is_queued), queued + count * is_queued)
    return RuleEffect(
        sum(count for state, count in by_state.items() if state != states.QUEUED),
        sum(progress for progress, _ in counts.values()),
        sum(max(0, progress - rule.limit) for progress, _ in counts.values()),
        by_state.get(states.QUEUED, 0),
        sum(max(0, queued - max(0, rule.limit - progress)) for progress, queued in counts.values()),
    )


def in_words(effect: RuleEffect | None) -> list[str]:
    """What would happen, a sentence each."""
    if effect is None:
        return []
    said = [f"It counts {effect.tagged} of the {effect.progress} in progress"]
    if effect.over:
        said[0] += f"; {effect.over} over the limit finish{'es' if effect.over == 1 else ''}, nobody is stopped"
    return [f"{said[0]}.", f"It would hold back {effect.waiting} of the {effect.queued} queued."]
