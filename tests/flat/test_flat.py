"""What is done and looked at costs the same behind a long backlog as behind a short one: counted, not timed.

`SLUICE_FLAT=100000` counts behind as many; that takes half a minute more.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.conftest import clear
from tests.flat import work, world
from tests.invariants import check_audit

pytestmark = pytest.mark.django_db(transaction=True)

SHORT, LONG = 1_000, int(os.environ.get("SLUICE_FLAT", "20000"))
PAST, MORE = 300, 8_000  # so many that PostgreSQL reads no table as a whole
AT_MOST = 1.5  # times as much


def test_costs_are_the_same_behind_a_long_backlog(engine, static_files):
    short = costs(SHORT)
    clear()
    long = costs(LONG)
    check_audit()
    grown = {name: (short[name], cost) for name, cost in long.items() if cost > AT_MOST * short[name]}
    assert not grown, f"behind {SHORT} and behind {LONG}: {grown}"


def test_looks_cost_the_same_behind_a_long_past(engine, static_files):
    """While little is going on: what looks for it finds it without reading what is over."""
    world.build_small(PAST)
    short = _costs(world.looks())
    world.go_on(MORE)
    long = _costs(world.looks())
    grown = {name: (short[name], cost) for name, cost in long.items() if cost > AT_MOST * short[name]}
    assert not grown, f"behind {PAST} runs that are over, and behind {PAST + MORE}: {grown}"


def costs(waiting: int) -> dict[str, int]:
    """What each act costs behind so many."""
    world.build(waiting)
    acts = world.acts()
    found = _costs(acts)
    with work.planned_once():
        again = _costs({name: acts[name] for name in world.OF_AN_OP})
    return found | {f"{name}, planned once": cost for name, cost in again.items()}


def _costs(acts: dict[str, Callable[[], world.Act]]) -> dict[str, int]:
    """What each act costs the second time, when what a process reads once has been read."""
    for prepare in acts.values():
        prepare()()
    return {name: work.of(prepare()) for name, prepare in acts.items()}
