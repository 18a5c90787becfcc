"""Sets right what an audit found: writes that make the engine's book agree with itself, at a desk, in its transaction.

Whoever calls has looked again under the lock, so that what was found is still so. Gates are counted anew from the rows:
a wrong count is never carried on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from pools.claims import store
from pools.claims.desk import Desk
from pools.claims.kinds import kind_of
from pools.claims.store import NewHold
from pools.rules import Need


def recount(desk: Desk, gate_ids: Iterable[int]) -> None:
    """Let gates count what their holds add up to, with the caps that follow. Whoever then fits is let in."""
    ids = sorted(set(gate_ids))
    if not ids:
        return
    store.recount(ids)
    desk.know(store.gates_by_id(ids))
    for gate_id in ids:
        desk.touch(gate_id)
    desk.note(ids)


def free(desk: Desk, holder: str, token: int) -> None:
    """Free whatever somebody holds under a token. Nobody is told: there is nobody, or it should hold nothing."""
    recount(desk, [gate_id for gate_id, _ in store.give_back(holder, token)])


def let_hold(desk: Desk, holder: str, needs: Sequence[Need], token: int | None, besides: Collection[int] = ()) -> None:
    """Let somebody hold exactly these slots, even past a limit; nobody is stopped.

    `token` None: whatever it has is right. At the gates `besides` it keeps what it has.
    """
    ids = desk.open_gates(need.gate for need in needs)
    wanted = {ids[need.gate.key]: need.slots for need in needs}
    held = store.held(holder)
    right = {gate for gate, slots, has in held if wanted.get(gate) == slots and token in (None, has)}
    gone = [gate for gate, _, _ in held if gate not in right and (gate in wanted or gate not in besides)]
    come = [gate for gate in wanted if gate not in right]
    lease = kind_of(holder).lease
    until = desk.now + timedelta(seconds=lease) if lease else None
    if gone:
        store.discard_holds_of(holder, gone)
    if come:
        store.take([NewHold(gate, holder, wanted[gate], token or 0, desk.now, until) for gate in come])
    recount(desk, [*gone, *come])


def look_at(desk: Desk, lane_id: int) -> None:
    """Look at a line again, and let in whoever fits."""
    desk.look_again(desk.lane(lane_id))


def name_gates(desk: Desk, lane_id: int) -> None:
    """Let a lane be found from exactly the gates that it names."""
    lane = desk.lane(lane_id)
    store.forget_gates([lane_id])
    store.name_gates(lane_id, lane.needs, sorted({gate_id for group in lane.prospects for gate_id in group}))
    desk.look_again(lane)


def remove(desk: Desk, gate_id: int) -> bool:
    """Remove a gate that is left over. False: somebody holds it or waits for it still."""
    recount(desk, [gate_id])
    if desk.gate(gate_id).holds_back or not desk.is_idle(gate_id):
        return False
    desk.remove_gate(gate_id)
    return True
