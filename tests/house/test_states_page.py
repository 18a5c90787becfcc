"""docs/reference/states.md says what runs/states.py says, and names verbs that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runs import states, transitions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "states.md"
NAME = re.compile(r"`(\w+)`")


def section(heading: str) -> str:
    """The text under a heading of the second level."""
    _, _, rest = PAGE.read_text().partition(f"\n## {heading}\n")
    assert rest, heading
    return rest.partition("\n## ")[0]


def rows(heading: str, columns: int) -> list[list[str]]:
    """The rows of the tables under a heading that have so many columns; their head and its rule are left out."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == columns and row[0].startswith("`")]


def names(cell: str) -> list[str]:
    return NAME.findall(cell)


@pytest.mark.parametrize(("heading", "moves"), [("Runs", states.RUN_MOVES), ("Ops", states.OP_MOVES)])
def test_the_page_lists_every_state_and_which_are_final(heading: str, moves: dict[str, tuple[str, ...]]) -> None:
    listed = {names(state)[0]: final for state, _, final in rows(heading, 3)}
    assert listed == {state: "no" if after else "yes" for state, after in moves.items()}


@pytest.mark.parametrize(("heading", "moves"), [("Runs", states.RUN_MOVES), ("Ops", states.OP_MOVES)])
def test_the_page_lists_exactly_the_legal_moves(heading: str, moves: dict[str, tuple[str, ...]]) -> None:
    listed = [(names(before)[0], names(after)[0]) for before, after, _, _ in rows(heading, 4)]
    assert sorted(listed) == sorted((before, after) for before, afters in moves.items() for after in afters)


@pytest.mark.parametrize(("heading", "moves"), [("Runs", states.RUN_MOVES), ("Ops", states.OP_MOVES)])
def test_the_diagram_shows_every_state(heading: str, moves: dict[str, tuple[str, ...]]) -> None:
    diagram = section(heading).split("```")[1]
    assert not [state for state in moves if not re.search(rf"\b{state}\b", diagram)]


def test_every_verb_that_the_page_names_exists_and_is_said_who_calls_it() -> None:
    by = {verb for heading in ("Runs", "Ops") for row in rows(heading, 4) for verb in names(row[3])}
    explained = {verb for row in rows("Who calls the verbs", 2) for verb in names(row[0])}
    assert by == explained
    assert not [verb for verb in by if not callable(getattr(transitions, verb, None))]
