"""Does it fit, who is next, what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pools import reasons, rules
from pools.reasons import Check
from pools.rules import Candidate, Gate
from tests.boards import MemoryBoard

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def gate(limit, in_use=0, kind="pool", paused=False, id=1):
    return Gate(id, kind, f"{kind}:{id}", f"{kind} {id}", limit, in_use, paused)


# --- does it fit? -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "in_use", "slots", "blocks"),
    [
        (2, 0, 1, False),
        (2, 1, 1, False),
        (2, 2, 1, True),
        (2, 1, 2, True),
        (2, 0, 2, False),
        (2, 0, 3, True),
        (0, 0, 1, True),
        (1, 5, 1, True),  # lowered under load
        (None, 10**6, 5, False),
    ],
)
def test_a_gate_blocks_whoever_would_exceed_its_limit(limit, in_use, slots, blocks):
    assert gate(limit, in_use).blocks(slots) is blocks


@pytest.mark.parametrize("limit", [None, 5])
def test_a_paused_gate_blocks_everybody(limit):
    assert gate(limit, paused=True).blocks(1)
    assert gate(limit, paused=True).full


def test_full_means_that_nobody_at_all_fits():
    assert not gate(3, 2).full
    assert gate(3, 3).full


def test_needs_are_met_in_the_order_of_kinds_and_then_of_age():
    gates = [gate(1, id=9, kind="executor"), gate(1, id=8, kind="workers"), gate(1, id=7), gate(1, id=3)]
    gates += [gate(1, id=5, kind="runs"), gate(1, id=4, kind="run_tag")]
    assert rules.in_order((g, 1) for g in gates) == ((5, 1), (4, 1), (3, 1), (7, 1), (8, 1), (9, 1))


def test_the_first_full_gate_is_named():
    gates = {1: gate(1, 0, id=1), 2: gate(1, 1, id=2), 3: gate(0, id=3)}
    assert rules.first_blocking(((1, 1), (2, 1), (3, 1)), gates.__getitem__) is gates[2]
    assert rules.first_blocking(((1, 1),), gates.__getitem__) is None
    assert rules.first_blocking((), gates.__getitem__) is None


def test_places_go_by_priority_then_time_then_number():
    def candidate(name, priority, seconds, number, id):
        return Candidate(id, name, 1, priority, NOW + timedelta(seconds=seconds), number)

    line = [
        candidate("returned", 0, 1, number=3, id=9),
        candidate("its fellow", 0, 1, number=4, id=4),
        candidate("earlier", 0, 0, number=9, id=2),
        candidate("urgent", 5, 9, number=9, id=5),
        candidate("without a number, first", -1, 0, number=0, id=6),
        candidate("without a number, second", -1, 0, number=0, id=7),
    ]
    assert [c.holder for c in sorted(line, key=lambda c: c.place)] == [
        "urgent",
        "earlier",
        "returned",
        "its fellow",
        "without a number, first",
        "without a number, second",
    ]


# --- why not? ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "slots", "reason"),
    [
        (gate(2, 1), 1, ""),
        (gate(None, 7), 3, ""),
        (gate(2, 2), 1, "is full: 2 of 2 in use"),
        (gate(1, 3), 1, "is full: 3 of 1 in use"),
        (gate(4, 3), 2, "has no room for 2: 3 of 4 in use"),
        (gate(0), 1, "is closed: its limit is 0"),
        (gate(0, 2), 1, "is closed: its limit is 0"),
        (gate(5, paused=True), 1, "is paused"),
        (gate(0, paused=True), 1, "is paused"),
        (gate(2, 1), 3, "can never fit: 3 slots of a limit of 2"),
        (gate(0, kind="workers"), 1, "has no living worker"),
        (gate(2, 2, kind="workers"), 1, "has no free worker: 2 of 2 busy"),
    ],
)
def test_a_check_says_why_there_is_no_room(at, slots, reason):
    check = Check(at, slots)
    assert check.reason == reason
    assert check.room is (reason == "")


def test_what_can_never_fit_is_told_from_what_has_to_wait():
    assert Check(gate(2), 3).never_fits
    assert not Check(gate(2, 2), 2).never_fits
    assert not Check(gate(0), 3).never_fits  # 0 is a decision
    assert not Check(gate(None), 3).never_fits
    assert not Check(gate(1, kind="workers"), 2).never_fits  # workers come and go


def test_an_explanation_lists_every_gate_and_blocks_where_the_decision_blocks():
    gates = {1: gate(2, 2, id=1), 2: gate(2, 0, id=2), 3: gate(1, 1, id=3, kind="executor")}
    candidate = Candidate(1, "op:1", 1, 0, datetime(2026, 1, 1, tzinfo=UTC), 1, ((3, 1),))
    explanation = reasons.explain(candidate, ((1, 1), (2, 1)), gates.__getitem__)
    assert [check.gate.id for check in explanation.checks] == [1, 2, 3]
    assert [check.gate.id for check in explanation.blocking] == [1, 3]
    assert explanation.blocking[0].gate is rules.first_blocking(((1, 1), (2, 1), (3, 1)), gates.__getitem__)


def test_a_gate_has_a_name_in_words():
    names = [Gate(1, kind, "key", "x", 1, 0).name for kind in rules.KINDS]
    assert names == [
        "the run queue",
        "run limit x",
        "pool x",
        "queue x",
        "this run's executor",
        "tag limit x of this run",
    ]


# --- who is next? -----------------------------------------------------------------------------------


def board(**limits):
    return MemoryBoard(limits)


def test_the_higher_priority_goes_first_then_the_longer_wait():
    b = board(pool=2)
    b.ask("late", 0, 3, pool=1)
    b.ask("urgent", 1, 4, pool=1)
    b.ask("early", 0, 1, pool=1)
    rules.settle(b)
    assert b.admitted == ["urgent", "early"]


def test_one_order_over_all_lines_so_that_a_lesser_candidate_does_not_take_the_last_worker():
    b = board(workers=1, a=5, b=5)
    b.ask("lesser", 0, 1, a=1, workers=1)
    b.ask("better", 1, 2, b=1, workers=1)
    rules.settle(b)
    assert b.admitted == ["better"]


def test_a_blocked_candidate_does_not_stop_those_behind_it():
    b = board(full=0, free=1)
    b.ask("blocked", 9, 1, full=1, free=1)
    b.ask("behind", 0, 2, free=1)
    rules.settle(b)
    assert b.admitted == ["behind"]


def test_all_or_nothing_a_candidate_that_one_gate_refuses_takes_nothing_from_another():
    b = board(a=1, b=0)
    b.ask("first", 0, 1, a=1, b=1)
    rules.settle(b)
    assert b.in_use == {"a": 0, "b": 0}
    assert b.admitted == []


def test_a_wide_candidate_waits_for_all_its_slots():
    b = board(pool=3)
    b.ask("one", 0, 1, pool=1)
    b.ask("wide", 0, 2, pool=3)
    rules.settle(b)
    assert b.admitted == ["one"]
    b.release("one")
    rules.settle(b)
    assert b.admitted == ["one", "wide"]


def test_who_is_blocked_by_its_own_run_steps_aside_for_the_next_in_line():
    b = board(pool=3, executor_1=1, executor_2=1)
    b.ask("r1 first", 0, 1, pool=1, executor_1=1)
    b.ask("r1 second", 0, 2, pool=1, executor_1=1)
    b.ask("r2 first", 0, 3, pool=1, executor_2=1)
    rules.settle(b)
    assert b.admitted == ["r1 first", "r2 first"]
    assert b.held_back == {"r1 second": "executor_1"}


def test_when_the_runs_gate_has_room_the_best_that_it_holds_back_returns_with_its_old_place():
    b = board(pool=1, executor_1=1)
    b.ask("runs", 0, 1, pool=1, executor_1=1)
    rules.settle(b)
    b.limits["pool"] = 5
    b.ask("second", 0, 2, pool=1, executor_1=1)
    b.ask("third", 5, 3, pool=1, executor_1=1)
    b.touch("pool")
    rules.settle(b)
    assert set(b.held_back) == {"second", "third"}
    b.release("runs")
    rules.settle(b)
    assert b.admitted == ["runs", "third"]
    assert set(b.held_back) == {"second"}


def test_a_new_lane_and_a_touched_gate_are_looked_at_and_nothing_else():
    b = board(a=0, b=1)
    b.ask("at a", 0, 1, a=1)
    b.ask("at b", 0, 2, b=1)
    rules.settle(b)
    looked_at = len(b.looked_at)
    rules.settle(b)
    assert len(b.looked_at) == looked_at
    b.limits["a"] = 1
    b.touch("a")
    rules.settle(b)
    assert b.admitted == ["at b", "at a"]


def test_an_empty_lane_is_parked_nowhere():
    b = board(pool=1)
    b.ask("only", 0, 1, pool=1)
    rules.settle(b)
    b.release("only")
    rules.settle(b)
    assert all(lane.blocked_on is None for lane in b.lanes.values() if not b.line(lane.id))


def test_a_tired_board_admits_nobody_before_all_have_been_looked_at():
    b = board(workers=1)
    b.ask("lesser", 0, 1, workers=1)
    b.ask("best", 9, 2, workers=1)
    b.looks_left = 0
    rules.settle(b)
    assert b.admitted == []
    b.decide(looks=1)
    assert b.admitted == ["best"]


def test_who_was_looked_at_is_admitted_though_others_behind_were_not():
    b = board(workers=2, **{f"p{n}": 1 for n in range(9)})
    for n in range(9):
        b.ask(f"op {n}", 9 - n, n, workers=1, **{f"p{n}": 1})
    b.looks_left = 6
    rules.settle(b)
    assert b.admitted == ["op 0", "op 1"]
    assert len(b.looked_at) == 3


def test_nobody_behind_the_horizon_is_admitted():
    """The first two of four are looked at; the next in the best's lane would come behind one that was left out."""
    b = board(workers=9, a=9, b=9, c=9)
    b.ask("a 1", 5, 1, a=1, workers=1)
    b.ask("a 2", 1, 2, a=1, workers=1)
    b.ask("b 1", 4, 3, b=1, workers=1)
    b.ask("c 1", 3, 4, c=1, workers=1)
    b.looks_left = 4
    rules.settle(b)
    assert b.admitted == ["a 1", "b 1"]
    b.decide(looks=4)
    assert b.admitted == ["a 1", "b 1", "c 1", "a 2"]


def test_a_lane_whose_next_head_was_not_looked_at_is_not_passed_by():
    """With two looks: the first of each lane is seen, then the second of the better lane would be next."""
    b = board(workers=2, a=9, b=9)
    b.ask("a 1", 5, 1, a=1, workers=1)
    b.ask("a 2", 5, 2, a=1, workers=1)
    b.ask("b 1", 0, 3, b=1, workers=1)
    b.decide(looks=2)
    assert b.admitted == ["a 1", "a 2"]
