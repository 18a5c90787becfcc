"""Reads what a rehearsal needs: a few of each line that a change could move. Takes no lock and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pools.claims import store
from pools.claims.account import KnownCandidate, KnownLane
from pools.claims.kinds import kind_of
from pools.rehearsal import Line, Scene, Waits
from pools.rules import PRIVATE_KINDS, Candidate, Gate

LANES = 60  # lines read, the best heads first
IN_LINE = 25  # waiters read of each
BESIDE = 25  # and of those whom a gate of a run holds back
RUNS = 100  # runs whose waiting ops are counted where slots are looked out for
ASKED = 1000  # slots, up to which those of one run are counted
KIN = 60  # gates of one rule


def read_scene(touching: Iterable[int], others: Sequence[Candidate] = (), in_line: int | None = None) -> Scene:
    """How things stand around these gates. `others` are candidates that may be given another place.

    A few queries, whatever waits; of each line `in_line` waiters, IN_LINE if it is not said.
    """
    in_line = IN_LINE if in_line is None else in_line
    gate_ids = sorted(set(touching))
    heads, _ = store.heads(sorted({one.lane for one in others}), gate_ids, None, True, LANES + 1)
    last = heads[LANES - 1][2] if len(heads) > LANES else None
    heads = heads[:LANES]
    lanes = {lane.id: (lane, dirty) for lane, dirty, _ in heads}
    gates: dict[int, Gate] = {gate.id: gate for gate in store.gates_by_id(gate_ids)} if gate_ids else {}
    private = [gate_id for gate_id in gates if gates[gate_id].kind in PRIVATE_KINDS]
    waiting = store.first_of(sorted(lanes), private, in_line + 1, BESIDE + 1)
    _load(gates, _gates_of([lane for lane, _ in lanes.values()], [*(one for one, _ in waiting), *others]))
    unread = sorted(gate.id for gate in gates.values() if gate.holds_back and gate.id not in private)
    if unread:
        waiting += store.first_of([], unread, 0, BESIDE + 1)
    beside = [(one, held_by) for one, held_by in waiting if held_by is not None]
    missing = sorted({one.lane for one, _ in beside} - lanes.keys())
    if missing:
        lanes |= {lane.id: (lane, False) for lane in store.lanes_by_id(missing)}
        waiting += store.first_of(missing, [], in_line + 1, 0)
    checks, buffer, waits, are_all = _prospects([lane for lane, _ in lanes.values()])
    _load(gates, _gates_of([lane for lane, _ in lanes.values()], [one for one, _ in waiting]))
    _load(gates, {gate_id for entry in waits for gate_id, _ in entry.private})
    lines = {lane_id: [one for one, by in waiting if by is None and one.lane == lane_id] for lane_id in lanes}
    counts = {gate_id: sum(by == gate_id for _, by in beside) for _, gate_id in beside}
    return Scene(
        gates,
        [_line(lane, dirty, lines[lane.id], in_line) for lane, dirty in lanes.values()],
        frozenset(gate_ids),
        beside,
        frozenset(gate_id for gate_id, gate in gates.items() if gate.holds_back and not _is_read(gate_id, counts)),
        {one.holder: one for one in others},
        waits,
        are_all,
        checks,
        buffer,
        last.place if last else None,
        lambda holder: kind_of(holder).asks,
    )


def kin(gate_ids: Sequence[int]) -> dict[int, list[int]]:
    """The gates that have their limit from the same rule, of each of these gates; itself if it has no rule.

    A rule with more than a few gates has none here.
    """
    found = store.kin(gate_ids, KIN * len(gate_ids)) if gate_ids else []
    families = {of: [other for one, other in found if one == of] or [of] for of in gate_ids}
    return {of: members for of, members in families.items() if len(members) < KIN}


def _is_read(gate_id: int, counts: dict[int, int]) -> bool:
    """Whether all whom a gate holds back were read."""
    return 0 < counts.get(gate_id, 0) <= BESIDE


def _line(lane: KnownLane, dirty: bool, waiting: list[KnownCandidate], most: int) -> Line:
    first, cut = sorted(waiting, key=lambda one: one.place)[:most], len(waiting) > most
    return Line(lane.id, lane.needs, lane.prospects, lane.blocked_on, lane.without_prospect, dirty, first, cut)


def _gates_of(lanes: Iterable[KnownLane], waiting: Iterable[Candidate]) -> set[int]:
    found = {gate_id for lane in lanes for gate_id, _ in lane.needs}
    found |= {gate_id for lane in lanes for group in lane.prospects for gate_id in group}
    return found | {gate_id for one in waiting for gate_id, _ in one.private}


def _load(gates: dict[int, Gate], wanted: set[int]) -> None:
    missing = sorted(wanted - gates.keys())
    if missing:
        gates.update((gate.id, gate) for gate in store.gates_by_id(missing))


def _prospects(lanes: Iterable[KnownLane]) -> tuple[bool, int, list[Waits], bool]:
    """Whether prospects are looked at, the buffer, who waits for slots of gates that are prospects; are they all?"""
    looked_at = sorted({gate_id for lane in lanes for group in lane.prospects for gate_id in group})
    if not looked_at:
        return False, 0, [], True
    checks, buffer = store.queue_settings()
    found, are_all = store.waiting_at(looked_at, ASKED, RUNS) if checks else ([], True)
    are_all = are_all and all(slots < ASKED for _, _, slots in found)
    return checks, buffer, [Waits(gate_id, private, slots) for gate_id, private, slots in found], are_all
