"""What an edited limit would do, before it is saved: worked out by the decision itself (`rehearsal`). Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pools import claims, queries, rules
from pools.models import Gate
from pools.rehearsal import Rehearsal, Unknowable

MOST_GATES = 60  # gates of one rule that are looked at
MOST_STARTING = 500  # of each line


@dataclass(frozen=True)
class Outcome:
    """What a limit of `to` would do at a gate, or at all gates of a rule together.

    `over`: slots in use beyond it. `in_line`: how many have no room now, up to COUNT_TO + 1. `starts`: how many of them
    start at once, None where that can't be known. `then`: what the next of them waits for, if not for this gate.
    `runs`: how many start that only look out for it (a run, for its first ops), None where that can't be known.
    """

    label: str
    limit: int | None
    to: int | None
    in_use: int
    over: int
    in_line: int
    starts: int | None
    then: rules.Gate | None = None
    runs: int | None = 0
    paused: bool = False

    @property
    def raised(self) -> bool:
        return self.limit is not None and (self.to is None or self.to > self.limit)

    @property
    def changes(self) -> bool:
        return self.limit != self.to


def of_pool(name: str, to: int | None) -> Outcome | None:
    """What another limit of a pool would do; None: there is no such pool."""
    return of_gates(_gates(kind="pool", pool__name=name), to)


def of_key(key: str, to: int | None) -> Outcome | None:
    """What another limit of a gate would do; None: there is no such gate."""
    return of_gates(_gates(key=key), to)


def of_family(family: str, to: int | None) -> Outcome | None:
    """What another limit of a rule would do; None: it counts nobody and nobody waits for it."""
    return of_gates(_gates(family=family, kind="run_tag"), to)


@dataclass(frozen=True)
class Several:
    """What one limit would do at each of several pools. `cut`: there are more, which were not looked at."""

    pools: Sequence[Outcome]
    cut: bool


def of_default(to: int | None) -> Several:
    """What another default limit would do at each of the pools that have none of their own."""
    found = _gates(kind="pool", pool__limit=None)
    shown = found[:MOST_GATES]
    changed = bool(shown) and shown[0].limit != to
    starting = _starting_at_each(shown, to) if changed else [(0, 0)] * len(shown)
    pools = [_outcome([gate], to, starts, None, runs) for gate, (starts, runs) in zip(shown, starting, strict=True)]
    return Several(pools, len(found) > len(shown))


def _starting_at_each(found: Sequence[Gate], to: int | None) -> list[tuple[int | None, int | None]]:
    """How many start at each of these gates, all of which get the limit at once, and how many only look out for it."""
    board = _board(found, to)
    try:
        _decide(board, [gate.pk for gate in found], to)
    except Unknowable:
        return [(None, None if board.is_looked_at([gate.pk]) else 0) for gate in found]
    return [
        (_needing(board, [gate.pk]), sum(board.looks_out(one, [gate.pk]) for one in board.admitted)) for gate in found
    ]


def of_gates(found: Sequence[Gate], to: int | None) -> Outcome | None:
    """What another limit of these gates would do, all of which have the same."""
    if not found:
        return None
    return _outcome(found, to, *(_starting(found, to) if found[0].limit != to else (0, None, 0)))


def _outcome(
    found: Sequence[Gate], to: int | None, starts: int | None, then: rules.Gate | None, runs: int | None
) -> Outcome:
    first = found[0]
    over = 0 if to is None else sum(max(0, gate.in_use - to) for gate in found)
    in_line = sum(gate.line for gate in found)  # type: ignore[attr-defined]
    in_use = sum(gate.in_use for gate in found)
    starts = None if starts is None else min(starts, in_line)
    return Outcome(first.label, first.limit, to, in_use, over, in_line, starts, then, runs, first.paused)


def _gates(**which: object) -> list[Gate]:
    return queries.gates_where(MOST_GATES + 1, **which)


def _starting(found: Sequence[Gate], to: int | None) -> tuple[int | None, rules.Gate | None, int | None]:
    """How many start who need a slot of these gates, what the next of them waits for, and who only look out for one."""
    ids = [gate.pk for gate in found]
    if len(ids) > MOST_GATES:
        return None, None, None
    board = _board(found, to)
    try:
        _decide(board, ids, to)
        following = board.first_in_line(ids)
    except Unknowable:
        return None, None, None if board.is_looked_at(ids) else 0
    blocks = rules.first_blocking(board.needs_of(following), board.gate, following) if following else None
    then = blocks if blocks is not None and blocks.id not in ids and board.is_whole else None
    return _needing(board, ids), then, sum(board.looks_out(one, ids) for one in board.admitted)


def _board(found: Sequence[Gate], to: int | None) -> Rehearsal:
    """A copy of how things stand around these gates, with enough of their lines."""
    room = MOST_STARTING if to is None else to - (found[0].limit or 0)
    in_line = max(claims.IN_LINE, min(room, MOST_STARTING))
    return Rehearsal(claims.read_scene([gate.pk for gate in found], in_line=in_line))


def _decide(board: Rehearsal, ids: Sequence[int], to: int | None) -> None:
    """Give these gates another limit and let in whoever then fits. Raises Unknowable."""
    for gate_id in ids:
        board.resize(gate_id, to)
    board.settle()


def _needing(board: Rehearsal, ids: Sequence[int]) -> int:
    """How many of those let in need a slot of these gates."""
    return sum(bool(set(ids) & {at for at, _ in board.needs_of(one)}) for one in board.admitted)
