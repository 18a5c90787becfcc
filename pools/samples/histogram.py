"""How long was waited, as counts in buckets that grow by a tenth each: the mapping of DDSketch (Masson et al., 2019).

Bucket i counts what lies in (GROWTH^(i-1), GROWTH^i] seconds. Two histograms are merged by adding their counts, so a
quantile over a day is as good as one over ten seconds: what is said is off by ERROR of the true value at most.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping

GROWTH = 1.1
LN_GROWTH = math.log(GROWTH)
ERROR = (GROWTH - 1) / (GROWTH + 1)  # relative: under 5 %

Histogram = Mapping[int, int]  # how many, by bucket


def bucket(seconds: float) -> int:
    """Where a wait is counted. Raises ValueError for what is not above zero."""
    return math.ceil(math.log(seconds) / LN_GROWTH)


def value(of_bucket: int) -> float:
    """The seconds that stand for a bucket: as far from both of its ends, relatively."""
    return float(2 * GROWTH**of_bucket / (GROWTH + 1))


def merged(histograms: Iterable[Histogram]) -> dict[int, int]:
    """All of them as one."""
    counts: Counter[int] = Counter()
    for histogram in histograms:
        counts.update(histogram)
    return dict(counts)


def count(histogram: Histogram) -> int:
    """How many were counted."""
    return sum(histogram.values())


def quantile(histogram: Histogram, part: float) -> float | None:
    """The seconds that this part of all (0 to 1) waited at most; None: nobody was counted."""
    rank = max(1, math.ceil(part * count(histogram)))
    for place in sorted(histogram):
        rank -= histogram[place]
        if rank <= 0:
            return value(place)
    return None


def to_text(histogram: Histogram) -> str:
    """As it stands in a row; nothing for an empty one."""
    return json.dumps(dict(sorted(histogram.items())), separators=(",", ":")) if histogram else ""


def from_text(text: str) -> dict[int, int]:
    """The same from a row."""
    return {int(place): number for place, number in json.loads(text).items()} if text else {}
