"""What an edited limit would do, in words; only what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pools.outcome import Outcome, Several
from pools.queries import COUNT_TO, counted


@dataclass(frozen=True)
class Noun:
    """What is counted at a limit, in words: slots in use, or runs in progress."""

    one: str
    many: str
    being: str

    def of(self, number: int) -> str:
        return f"{counted(number)} {self.one if number == 1 else self.many}"


MOST_TOLD = 8  # pools of which it is told what happens

SLOTS = Noun("slot", "slots", "in use")
RUNS = Noun("run", "runs", "in progress")


def in_words(outcome: Outcome | None, noun: Noun) -> list[str]:
    """What would happen, a sentence each."""
    if outcome is None:
        return ["Nothing holds or waits for it now."]
    if not outcome.changes:
        return [_as_it_is(outcome, noun)]
    if outcome.paused:
        return ["It is paused: nobody starts before that ends."]
    if outcome.raised:
        if not outcome.in_line and outcome.runs != 0:
            return _who_looked_out(outcome)
        return [_who_starts(outcome), *_who_waits_on(outcome), *_who_looked_out(outcome)]
    said = [_lowered(outcome, noun)]
    return [*said, *([f"{_line(outcome)} on."] if outcome.in_line else [])]


@dataclass(frozen=True)
class OfDefault:
    """What another default limit would do: `said` of all, then of each pool at which something happens."""

    said: Sequence[str]
    pools: Sequence[tuple[str, Sequence[str]]]


def of_default(found: Several) -> OfDefault:
    """What another default limit would do, in words."""
    if not found.pools:
        return OfDefault(["Every pool has a limit of its own: it is for those that are named from now on."], [])
    if not found.pools[0].changes:
        return OfDefault(["That is the default limit now."], [])
    number = len(found.pools)
    many = f"more than {number} pools" if found.cut else "1 pool" if number == 1 else f"{number} pools"
    told = sorted((one for one in found.pools if _happens(one)), key=lambda one: (-one.over, -one.in_line, one.label))
    said = [f"It is the limit of {many}, and of those that are named from now on."]
    if quiet := number - len(told):
        where = "in none of them" if not told else f"in the other {quiet}" if quiet > 1 else "in the other one"
        said.append(f"Nobody starts and nobody has too many slots {where}.")
    if len(told) > MOST_TOLD:
        said.append(f"The first {MOST_TOLD}:")
    return OfDefault(said, [(one.label, in_words(one, SLOTS)) for one in told[:MOST_TOLD]])


def _happens(outcome: Outcome) -> bool:
    return bool(outcome.over or outcome.in_line or outcome.runs != 0)


def _as_it_is(outcome: Outcome, noun: Noun) -> str:
    limit = "no limit" if outcome.limit is None else f"of {outcome.limit}"
    line = f"; {_line(outcome)}" if outcome.in_line else ""
    return f"{noun.of(outcome.in_use)} {noun.being}, {limit}{line}."


def _who_starts(outcome: Outcome) -> str:
    if not outcome.in_line:
        return "Nobody is in line: nothing starts now."
    of_them = f"of the {counted(outcome.in_line)} in line" if outcome.in_line > 1 else "The one in line"
    if outcome.starts is None:
        room = outcome.in_line if outcome.to is None else outcome.to - (outcome.limit or 0)
        most = min(room, outcome.in_line)
        return f"At most {most} {of_them} {_start(most)} now." if outcome.in_line > 1 else f"{of_them} may start now."
    if outcome.in_line == 1:
        return f"{of_them} {'starts' if outcome.starts else 'does not start'} now."
    return f"{outcome.starts or 'None'} {of_them} {_start(outcome.starts or 1)} now."


def _who_looked_out(outcome: Outcome) -> list[str]:
    """Runs that wait in the queue because the pools of their first ops are taken."""
    if outcome.runs is None:
        return ["Queued runs whose first ops need it may start now."]
    many = f"{outcome.runs} queued run{'' if outcome.runs == 1 else 's'}"
    return [f"{many} whose first ops need it {_start(outcome.runs)} now."] if outcome.runs else []


def _who_waits_on(outcome: Outcome) -> list[str]:
    if outcome.starts is None or outcome.in_line > COUNT_TO or outcome.starts == outcome.in_line:
        return []
    left = outcome.in_line - outcome.starts
    said = f"{left} {_wait(left)} on"
    if outcome.then is not None:
        said += f", the first of them for {outcome.then.name}" if left > 1 else f", for {outcome.then.name}"
    return [f"{said}."]


def _lowered(outcome: Outcome, noun: Noun) -> str:
    if outcome.over:
        until = f"until fewer than {outcome.to} are {noun.being}" if outcome.to else "until it is raised"
        until = f"until none is {noun.being}" if outcome.to == 1 else until
        finish = "comes back when its holder ends" if outcome.over == 1 else "come back as their holders end"
        if noun is RUNS:
            finish = "finishes" if outcome.over == 1 else "finish"
        return (
            f"{noun.of(outcome.in_use)} {noun.being} now; {outcome.over} over the new limit {finish}, "
            f"nothing new starts {until}."
        )
    if outcome.to == 0:
        return "Nothing new starts until it is raised."
    free = (outcome.to or 0) - outcome.in_use
    return f"{noun.of(outcome.in_use)} {noun.being} now: room for {free or 'no'} more."


def _line(outcome: Outcome) -> str:
    return f"{counted(outcome.in_line)} in line {_wait(outcome.in_line)}"


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _start(number: int) -> str:
    return "starts" if number == 1 else "start"
