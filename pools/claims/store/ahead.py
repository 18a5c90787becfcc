"""Who comes first in some lines, a few of each: read for a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence

from pools.claims.account import KnownCandidate
from pools.claims.lock import marks, rows
from pools.claims.store.lines import IN_ORDER, WAITER, as_candidate


def first_of(
    lane_ids: Sequence[int], gate_ids: Sequence[int], in_line: int, beside: int
) -> list[tuple[KnownCandidate, int | None]]:
    """The first `in_line` of each line, and the first `beside` of those whom each of these gates holds back.

    Each with the gate that holds it back, None for those in line. Every line is found by its index.
    """
    parts = [f"SELECT * FROM ({_of('lane_id = %s AND held_by_id IS NULL', IN_ORDER, in_line)}) AS of_lane"] * len(
        lane_ids
    )
    parts += [f"SELECT * FROM ({_of('held_by_id = %s', f'lane_id, {IN_ORDER}', beside)}) AS of_gate"] * len(gate_ids)
    found = rows(" UNION ALL ".join(parts), [*lane_ids, *gate_ids]) if parts else []
    return [(as_candidate(waiter), held_by) for *waiter, held_by in found]


def kin(gate_ids: Sequence[int], most: int) -> list[tuple[int, int]]:
    """The gates of the same families: (gate, one of its family) each. A gate without a family has none."""
    found = rows(
        "SELECT g.id, k.id FROM pools_gate g JOIN pools_gate k ON k.family = g.family"
        f" WHERE g.id IN ({marks(gate_ids)}) AND g.family <> '' ORDER BY g.id, k.id LIMIT %s",
        [*gate_ids, most],
    )
    return [(of, other) for of, other in found]


def _of(where: str, order: str, most: int) -> str:
    return f"SELECT {WAITER}, held_by_id FROM pools_waiter WHERE {where} ORDER BY {order} LIMIT {most:d}"
