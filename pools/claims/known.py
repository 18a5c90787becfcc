"""What one transaction has read of gates and lanes. What it decides about them is newer than their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pools import rules
from pools.claims import store
from pools.claims.account import KnownLane
from pools.claims.kinds import Ask
from pools.rules import PRIVATE_KINDS, Gate, GateSpec, Need, Needs, Prospects


class Known:
    """Gates and lanes, each read once."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.topics: set[str] = set()  # what changed, for whoever watches
        self._gates: dict[int, Gate] = {}
        self._stored_use: dict[int, int] = {}
        self._lanes: dict[int, KnownLane] = {}

    def gate(self, gate_id: int) -> Gate:
        if gate_id not in self._gates:
            self.load_gates([gate_id])
        return self._gates[gate_id]

    def load_gates(self, gate_ids: Iterable[int]) -> None:
        unknown = sorted({gate_id for gate_id in gate_ids if gate_id not in self._gates})
        if unknown:
            self.know(store.gates_by_id(unknown))

    def know(self, gates: list[Gate]) -> list[Gate]:
        for gate in gates:
            self._gates[gate.id] = gate
            self._stored_use[gate.id] = gate.in_use
        return gates

    def open_gates(self, specs: Iterable[GateSpec]) -> dict[str, int]:
        """Find or make gates. Returns their ids by key.

        A pool seen for the first time gets its row, on the default limit from its first moment on.
        """
        wanted = {spec.key: spec for spec in specs}
        ids = {gate.key: gate.id for gate in self._gates.values() if gate.key in wanted}
        unknown = [key for key in wanted if key not in ids]
        found = self.know(store.gates_by_key(unknown)) if unknown else []
        ids |= {gate.key: gate.id for gate in found}
        missing = [spec for key, spec in wanted.items() if key not in ids]
        default = store.default_limit() if any(spec.kind == "pool" for spec in missing) else None
        for spec in missing:
            gate = store.make_gate(spec, default if spec.kind == "pool" else spec.limit)
            self.know([gate])
            ids[gate.key] = gate.id
            if spec.kind == "pool":
                store.make_pool(spec.label, gate.id)
                self.note([gate.id])
        return ids

    def family(self, family: str) -> list[int]:
        """The gates of a family."""
        return store.family(family)

    def lane(self, lane_id: int) -> KnownLane:
        if lane_id not in self._lanes:
            (self._lanes[lane_id],) = store.lanes_by_id([lane_id])
        return self._lanes[lane_id]

    def _lanes_for(self, wanted: set[tuple[Needs, Prospects]]) -> dict[tuple[Needs, Prospects], KnownLane]:
        """Find or make lanes. What this desk has decided about a lane is newer than what was read."""
        return {needs: self._lanes.setdefault(lane.id, lane) for needs, lane in store.lanes_for(sorted(wanted)).items()}

    def _needs(self, needs: Sequence[Need]) -> tuple[Needs, Needs]:
        """Needs at shared and at private gates; the gates are open."""
        by_key = {gate.key: gate for gate in self._gates.values()}
        found = [(by_key[need.gate.key], need.slots) for need in needs]
        return (
            rules.in_order(need for need in found if need[0].kind not in PRIVATE_KINDS),
            rules.in_order(need for need in found if need[0].kind in PRIVATE_KINDS),
        )

    def _prospects(self, prospects: Sequence[Sequence[GateSpec]]) -> Prospects:
        by_key = {gate.key: gate.id for gate in self._gates.values()} if prospects else {}
        return tuple(sorted({tuple(sorted(by_key[spec.key] for spec in specs)) for specs in prospects}))

    def _write_gates(self) -> None:
        changes = [
            (gate, gate.in_use - self._stored_use[gate.id])
            for gate in sorted(self._gates.values(), key=lambda gate: gate.id)
            if gate.in_use != self._stored_use[gate.id]
        ]
        if changes:
            store.add_use(changes)
            self._stored_use.update((gate.id, gate.in_use) for gate, _ in changes)

    def note(self, gate_ids: Iterable[int]) -> None:
        """Remember which shared gates changed, for those who watch."""
        for gate_id in gate_ids:
            gate = self.gate(gate_id)
            if gate.kind not in PRIVATE_KINDS:
                self.topics.add(f"gate:{gate.key}")


def gates_of(ask: Ask) -> list[GateSpec]:
    return [*(need.gate for need in ask.needs), *(spec for specs in ask.prospects for spec in specs)]


RUNS_AT_ONCE = 150  # runs whose waiting ops are looked at together; some may ask for nothing, as their executor is full
ALL = 2**31 - 1  # of them, or of those who wait


def waited_for(
    gate_ids: Sequence[int],
    load: Callable[[Iterable[int]], None],
    gate: Callable[[int], Gate],
    enough: int = ALL,
) -> dict[int, int]:
    """How many slots of gates are asked by those who wait and whom no gate of their own run holds back.

    Counting all who wait would let a run with fifty root ops and room for one at a time idle a pool; counting who
    stands in line would depend on who was looked at. Nobody is counted beyond `enough`: a few runs are looked at, and
    more of them while that is not enough.
    """
    found: dict[int, int] = {}
    runs = RUNS_AT_ONCE if enough < ALL else ALL
    while gate_ids:
        found = dict.fromkeys(gate_ids, 0)
        waiting, are_all = store.waiting_at(gate_ids, enough, runs)
        load({private_id for _, private, _ in waiting for private_id, _ in private})
        for gate_id, private, slots in waiting:
            if rules.first_blocking(private, gate) is None:
                found[gate_id] += slots
        if are_all or min(found.values()) >= enough:
            break
        runs *= 10
    return found
