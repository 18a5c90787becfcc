"""When those in a line will likely start: the service of a gate, played forward many times. Plain Python.

In each round, whoever is first takes the slot that becomes free first, and holds it for as long as one of the recorded
holds of its kind took; who holds a slot now ends as those ended that had held it for as long. What is recorded is drawn
anew in each round (the bootstrap), so that a thin record makes a wide range. Nobody new comes before them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from random import Random

LEAST = 10  # recorded holds; fewer say nothing
ROUNDS, FEWEST_ROUNDS = 100, 30
STARTS = 10_000  # played in all rounds together: of a long line there are fewer rounds
SEED = 20  # the same facts give the same answer


@dataclass(frozen=True)
class Record:
    """How long the last that were let in held their slots, in seconds, by kind: those who have given them back; and
    for how long so far those who have not. To leave these out would say that slots are held for less than they are.
    """

    seconds: Mapping[str, Sequence[float]]
    so_far: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return sum(map(len, self.seconds.values()))


@dataclass(frozen=True)
class Service:
    """A gate whose slots are taken one by one: how many there are, who holds them, and who stands in line."""

    limit: int
    holding: Sequence[tuple[str, float]]  # of each slot in use: the kind of its holder, and for how many seconds so far
    line: Sequence[str]  # the kinds of the first in line, in their order; of those behind them nothing is known
    length: int  # of the whole line


@dataclass(frozen=True)
class Range:
    """Seconds from now: half of the rounds come to `likely` or less, nine of ten lie between `early` and `late`."""

    early: float
    likely: float
    late: float


def starts(record: Record, service: Service, places: Iterable[int]) -> dict[int, Range]:
    """When those at some places of the line (from 1) start. Empty where too little is recorded, or nobody can start."""
    if record.number < LEAST or service.limit < 1:
        return {}
    wanted = sorted({place for place in places if 1 <= place <= service.length})
    dice = Random(SEED)
    last = wanted[-1] if wanted else 0
    number = max(FEWEST_ROUNDS, min(ROUNDS, STARTS // max(1, last)))
    rounds = [_round(record, service, last, dice) for _ in range(number)]
    return {place: _range([times[place - 1] for times in rounds]) for place in wanted}


def _range(times: list[float]) -> Range:
    early, likely, late = (sorted(times)[int(part * (len(times) - 1))] for part in (0.05, 0.5, 0.95))
    return Range(early, likely, late)


def _round(record: Record, service: Service, number: int, dice: Random) -> list[float]:
    """When each of the first so many in line starts, in one play of what may come."""
    drawn = _drawn(record, dice)
    every = [each for held in drawn.values() for each in held]
    free = sorted(_rest(drawn.get(kind, every), held, dice) for kind, held in service.holding)
    over = len(free) - service.limit
    free = free[over:] if over > 0 else [*([0.0] * min(-over, number)), *free]  # over: those slots are not given again
    heapq.heapify(free)
    times = []
    for kind in islice(chain(service.line, repeat("")), number):
        times.append(free[0])
        heapq.heapreplace(free, free[0] + dice.choice(drawn.get(kind, every)))
    return times


def _drawn(record: Record, dice: Random) -> dict[str, list[float]]:
    """The record of a round: as many as there are, drawn from them; who has not ended yet ends as others did."""
    every = [each for held in record.seconds.values() for each in held]
    drawn: dict[str, list[float]] = {}
    for kind in sorted({*record.seconds, *record.so_far}):
        ended, so_far = record.seconds.get(kind, ()), record.so_far.get(kind, ())
        for held in dice.choices([*((each, False) for each in ended), *((each, True) for each in so_far)],
                                 k=len(ended) + len(so_far)):  # fmt: skip
            seconds, goes_on = held
            rest = _rest(ended or every, seconds, dice) if goes_on else 0.0
            drawn.setdefault(kind, []).append(seconds + rest)
    return drawn


def _rest(recorded: Sequence[float], held: float, dice: Random) -> float:
    """How much longer one holds that has held for so long. Nothing is known of one that has held for longer than any:
    up to as long again.
    """
    longer = [each for each in recorded if each > held]
    return dice.choice(longer) - held if longer else dice.uniform(0, held)
