"""What the charts show of the time before: samples of a month that end with how the deployment stands."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime

from pools import samples
from pools.models import Change, Sample, Sampled
from pools.samples import histogram
from runs import sampling

HOUR, DAY = 3600, 86400
# Of each resolution how many seconds there are, and how far apart its samples: as far as the charts don't show it.
KEPT = {10: (HOUR + 600, 20), 60: (DAY + HOUR, 120), 3600: (30 * DAY, HOUR)}


def play(moment: datetime) -> None:
    """Write samples of every subject up to this moment."""
    dice = random.Random(4)
    now = int(moment.timestamp())
    levels = sampling.levels()
    changed = {change.subject: change for change in Change.objects.filter(field="limit").exclude(before="none")}
    rows = []
    for subject, level in levels.items():
        busy, edit = dice.uniform(0.6, 1.1), changed.get(subject)
        for step, (seconds, apart) in KEPT.items():
            for at in range((now - seconds) // apart * apart, now // step * step, apart):
                limit = level.limit
                if edit and at < edit.at.timestamp():
                    limit = int(edit.before)
                rows.append(_sample(dice, subject, step, at, now, limit, level, busy))
    Sample.objects.bulk_create(rows, batch_size=2000)
    for step in samples.STEPS:
        Sampled.objects.create(step=step, upto=now // step * step)


def _sample(dice, subject, step, at, now, limit, level, busy) -> Sample:
    """Busy by day, quiet at night; close to now it comes to what is now."""
    tide = 0.55 + 0.45 * math.sin((at % DAY) / DAY * 2 * math.pi - 1.2) + dice.uniform(-0.12, 0.12)
    top = limit if limit is not None else max(level.in_use, 4)
    wanted = max(0.0, tide * busy * top * 1.15)
    near = max(0.0, 1 - (now - at) / 2700)
    in_use = round((1 - near) * min(wanted, top) + near * level.in_use)
    line = (1 - near) * max(0.0, wanted - top) * 2.2 + near * level.waiting
    waiting = round(line) if wanted > 0.9 * top or near else 0
    waits = list(_waits(dice, waiting)) if limit and waiting else []
    return Sample(
        subject=subject,
        step=step,
        at=at,
        in_use=max(0, in_use),
        limit=limit,
        waiting=max(0, waiting),
        waits=histogram.to_text(histogram.merged(waits)),
    )


def _waits(dice: random.Random, waiting: int) -> Iterator[dict[int, int]]:
    for _ in range(min(waiting, 4)):
        yield {histogram.bucket(dice.lognormvariate(3.2, 1.1)): 1}
