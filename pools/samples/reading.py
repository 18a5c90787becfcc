"""Reads samples back, for charts. Reads only.

The coarser samples of a stretch come once it is complete; what has passed since is read from the finer ones. So a chart
of hours ends now, and a deployment that is ten minutes old has a chart of its first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.db.models import F, Max, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from pools.models import Sample, Sampled
from pools.samples.store import STEPS


@dataclass(frozen=True)
class Span:
    """A stretch of time, from `start` to `end` (None: now) in samples of `step` seconds, about some subjects.

    A kind with its colon, and no name, stands for all of it.
    """

    start: int
    step: int
    subjects: tuple[str, ...]
    end: int | None = None


@dataclass(frozen=True)
class Peak:
    """The most that was in use, allowed, and waiting in a slot that began at `at`."""

    subject: str
    at: int
    in_use: int
    limit: int | None
    waiting: int


def history(span: Span) -> list[Sample]:
    """The samples of a span, oldest first. Those from its end may be finer. One query."""
    return list(_of(span).order_by("at"))


def peaks(*wanted: tuple[Span, int]) -> dict[str, list[Peak]]:
    """The peaks of slots of so many seconds each, by subject, oldest first. One query for all spans together."""
    parts = [_peaks(span, width) for span, width in wanted]
    rows = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    found: dict[str, list[Peak]] = {}
    for row in sorted(rows, key=lambda row: row[1]):
        found.setdefault(row[0], []).append(Peak(*row))
    return found


def _peaks(span: Span, width: int) -> QuerySet[Sample, tuple[str, int, int, int | None, int]]:
    slot = F("at") / Value(width) * Value(width)  # of whole numbers: the beginning of the slot
    rows = _of(span).order_by().annotate(slot=slot).values("subject", "slot")
    most = rows.annotate(used=Max("in_use"), allowed=Max("limit"), line=Max("waiting"))
    return most.values_list("subject", "slot", "used", "allowed", "line")


def _of(span: Span) -> QuerySet[Sample]:
    about = Q()
    for subject in span.subjects:
        about |= Q(subject__startswith=subject) if _is_a_kind(subject) else Q(subject=subject)
    stretches = Q(step=span.step, at__gte=span.start)
    for finer, coarser in pairwise(STEPS[: STEPS.index(span.step) + 1]):
        rolled_up = Subquery(Sampled.objects.filter(step=coarser).values("upto")[:1])
        stretches |= Q(step=finer, at__gte=span.start) & Q(at__gte=Coalesce(rolled_up, Value(0)))
    found = Sample.objects.filter(about, stretches)
    return found if span.end is None else found.filter(at__lt=span.end)


def _is_a_kind(subject: str) -> bool:
    """ "pool:", not "pool:a:": a name may end with a colon."""
    return subject.endswith(":") and subject.count(":") == 1


def subjects(of_samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples by their subject, in the order given."""
    found: dict[str, list[Sample]] = {}
    for sample in of_samples:
        found.setdefault(sample.subject, []).append(sample)
    return found
