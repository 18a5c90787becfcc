"""Which moves are legal, and which states are final."""

from __future__ import annotations

from itertools import product

import pytest

from runs import states

RUN_MOVES = {
    ("queued", "started"),
    ("queued", "failure"),
    ("queued", "canceled"),
    ("started", "canceling"),
    ("started", "success"),
    ("started", "failure"),
    ("started", "canceled"),
    ("canceling", "failure"),
    ("canceling", "canceled"),
}

OP_MOVES = {
    ("pending", "ready"),
    ("pending", "skipped"),
    ("pending", "canceled"),
    ("ready", "admitted"),
    ("ready", "failure"),
    ("ready", "canceled"),
    ("admitted", "running"),
    ("admitted", "ready"),
    ("admitted", "canceled"),
    ("running", "success"),
    ("running", "failure"),
    ("running", "up_for_retry"),
    ("running", "ready"),
    ("running", "canceled"),
    ("up_for_retry", "ready"),
    ("up_for_retry", "failure"),
    ("up_for_retry", "canceled"),
}


@pytest.mark.parametrize(
    ("moves", "legal"), [(states.RUN_MOVES, RUN_MOVES), (states.OP_MOVES, OP_MOVES)], ids=["runs", "ops"]
)
def test_exactly_these_moves_are_legal(moves, legal):
    assert {(a, b) for a, b in product(moves, moves) if b in moves[a]} == legal


def test_terminal_states_are_never_left():
    assert states.RUN_TERMINAL == ("canceled", "failure", "success")
    assert states.OP_TERMINAL == ("canceled", "failure", "skipped", "success")
    assert not any(states.RUN_MOVES[state] for state in states.RUN_TERMINAL)
    assert not any(states.OP_MOVES[state] for state in states.OP_TERMINAL)


def test_every_state_is_terminal_or_unfinished():
    assert set(states.OP_TERMINAL) | set(states.OP_UNFINISHED) == set(states.OP_STATES)
    assert not set(states.OP_TERMINAL) & set(states.OP_UNFINISHED)


def test_in_progress_are_started_and_canceling_runs():
    assert states.RUN_IN_PROGRESS == ("canceling", "started")


def test_what_constraints_carry_is_sorted_so_that_migrations_do_not_flap():
    for carried in (states.RUN_TERMINAL, states.OP_TERMINAL, states.OP_UNFINISHED, states.RUN_IN_PROGRESS):
        assert list(carried) == sorted(carried)


def test_every_state_can_be_reached():
    assert {after for _, after in RUN_MOVES} | {"queued"} == set(states.RUN_STATES)
    assert {after for _, after in OP_MOVES} | {"pending"} == set(states.OP_STATES)
