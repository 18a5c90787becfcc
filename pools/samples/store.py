"""Writes samples, rolls them up, removes the old.

`Sampled` says how far each resolution has come. Whoever writes moves it on in the same transaction, from where it was
read: of two clocks one finds it moved and writes nothing, and a kill at any statement leaves all of it or nothing.
What a transaction writes has been read before it began: it holds no lock for longer than its two or three statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.db import transaction
from django.db.models import Count, F, FloatField, Max
from django.db.models.functions import Ceil, Ln

from pools.models import Sample, Sampled, Wait
from pools.samples import histogram

STEPS = (10, 60, 3600)  # seconds; each a multiple of the one before it
FINEST = STEPS[0]
BATCH = 1000  # rows removed by one statement
DAY = 86400


@dataclass(frozen=True)
class Level:
    """How something stood: slots in use, their limit (None: without), how many waited."""

    in_use: int
    limit: int | None
    waiting: int


def record(at: int, levels: Mapping[str, Level], kinds: Mapping[str, str]) -> bool:
    """Write how things stood, by subject, in the step that began at `at`; and what was waited, since the last sample,
    for a pool, and for gates of other `kinds`: these by the subject at which they are counted.

    False: that step has been written. Six statements, however many ops there were.
    """
    done = Sampled.objects.filter(step=FINEST).first()
    if done is not None and at < done.upto:
        return False
    newest = Wait.objects.aggregate(newest=Max("id"))["newest"] or 0
    waits = _waits(done.wait, newest, kinds) if done else {}
    samples = [
        Sample(
            subject=subject,
            step=FINEST,
            at=at,
            in_use=level.in_use,
            limit=level.limit,
            waiting=level.waiting,
            waits=histogram.to_text(waits.get(subject, {})),
        )
        for subject, level in levels.items()
    ]
    return _write(samples, FINEST, done, at + FINEST, newest)


def _waits(after: int, upto: int, kinds: Mapping[str, str]) -> dict[str, dict[int, int]]:
    """What those whose waits ended in between had waited, by subject. By their ids, which are given under the
    admission lock and so in the order in which they are committed: none comes late, and no other index is needed.
    """
    place = Ceil(Ln(F("seconds")) / histogram.LN_GROWTH, output_field=FloatField())
    rows = (
        Wait.objects.filter(id__gt=after, id__lte=upto, kind__in=["pool", *kinds])
        .annotate(place=place)
        .values_list("kind", "label", "place")
        .annotate(number=Count("*"))
        .order_by()
    )
    found: dict[str, dict[int, int]] = {}
    for kind, label, bucket, number in rows:
        counts = found.setdefault(kinds.get(kind) or f"pool:{label}", {})
        counts[int(bucket)] = counts.get(int(bucket), 0) + number
    return found


def roll_up(enough: Callable[[], bool] = lambda: False) -> int:
    """Make the coarser samples of all that is complete, one step a transaction. Returns how many steps."""
    made = 0
    for finer, coarser in pairwise(STEPS):
        while not enough() and _roll_up_next(finer, coarser):
            made += 1
    return made


def _roll_up_next(finer: int, coarser: int) -> bool:
    """Make the samples of the next complete step. Time of which there are no samples is passed over."""
    done = {row.step: row for row in Sampled.objects.filter(step__in=(finer, coarser))}
    if finer not in done:
        return False
    before = done.get(coarser)
    rows = Sample.objects.filter(
        step=finer, at__gte=before.upto if before else 0, at__lt=_floor(done[finer].upto, coarser)
    )
    first = rows.order_by("at").values_list("at", flat=True).first()
    if first is None:
        return False
    begin = _floor(first, coarser)
    found = list(rows.filter(at__lt=begin + coarser).order_by("at"))
    of: dict[str, list[Sample]] = {}
    for sample in found:
        of.setdefault(sample.subject, []).append(sample)
    whole = [_rolled_up(samples, coarser, begin) for samples in of.values()]
    return _write(whole, coarser, before, begin + coarser)


def _rolled_up(samples: Sequence[Sample], step: int, at: int) -> Sample:
    """One sample for several of a subject, in the order of their times: the most of each, and the last limit."""
    return Sample(
        subject=samples[0].subject,
        step=step,
        at=at,
        in_use=max(sample.in_use for sample in samples),
        limit=samples[-1].limit,
        waiting=max(sample.waiting for sample in samples),
        waits=histogram.to_text(histogram.merged(histogram.from_text(sample.waits) for sample in samples)),
    )


def _write(samples: Iterable[Sample], step: int, before: Sampled | None, upto: int, wait: int = 0) -> bool:
    """Write samples and how far that is. False: somebody else has since it was looked at `before`."""
    with transaction.atomic():
        if not _moved_on(step, before, upto, wait):
            return False
        Sample.objects.bulk_create(samples)
    return True


def _moved_on(step: int, before: Sampled | None, upto: int, wait: int) -> bool:
    if before is None:
        return Sampled.objects.get_or_create(step=step, defaults={"upto": upto, "wait": wait})[1]
    return Sampled.objects.filter(step=step, upto=before.upto).update(upto=upto, wait=wait) == 1


def prune(now: int, keep: Mapping[int, float], enough: Callable[[], bool] = lambda: False) -> int:
    """Remove samples older than they are to be kept, by step in days; 0: for ever. Returns how many.

    What has not been rolled up yet is kept.
    """
    done = dict(Sampled.objects.values_list("step", "upto"))
    removed = 0
    for step, coarser in zip(STEPS, (*STEPS[1:], None), strict=True):
        if not keep.get(step):
            continue
        before = now - int(keep[step] * DAY)
        if coarser is not None:
            before = min(before, done.get(coarser, 0))
        while not enough() and (gone := _remove(step, before)):
            removed += gone
    return removed


def _remove(step: int, before: int) -> int:
    old = Sample.objects.filter(step=step, at__lt=before).order_by("at").values_list("id", flat=True)[:BATCH]
    ids = list(old)
    return Sample.objects.filter(id__in=ids).delete()[0] if ids else 0


def _floor(at: int, step: int) -> int:
    return at - at % step
