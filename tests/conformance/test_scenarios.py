"""What is written about each scenario, the slow model, the decision in plain Python and the engine are one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance import language
from tests.conformance.engine import Engine
from tests.conformance.language import Scenario, Step
from tests.conformance.model import Model
from tests.conformance.pure import Pure
from tests.conformance.story import Seen
from tests.invariants import check_engine
from tests.plugin import DATABASE

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
SCENARIOS = [scenario for path in FILES for scenario in language.read(path)]
EVERY = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)


@EVERY
def test_the_model_sees_what_is_written(scenario, agreed):
    model = Model()
    for step in scenario.steps:
        _carry_out(model, step)
        _compare(step, model)
    agreed("the model", len(scenario.steps))


@EVERY
def test_the_decision_agrees(scenario, agreed):
    _skip_what_is_not_built(scenario)
    model, pure = Model(), Pure()
    for step in scenario.steps:
        _carry_out(model, step)
        _carry_out(pure, step)
        assert _compare(step, pure) == model.seen(), step.where
    agreed("the decision", len(scenario.steps))


@EVERY
@pytest.mark.django_db(transaction=True)
def test_the_engine_agrees(scenario, empty_database, agreed, request):
    _skip_what_is_not_built(scenario)
    if scenario.bug:
        request.applymarker(pytest.mark.xfail(reason=scenario.bug, strict=True))
    model, engine = Model(), Engine()
    for step in scenario.steps:
        _carry_out(model, step)
        _carry_out(engine, step)
        assert _compare(step, engine) == model.seen(), step.where
    check_engine()
    agreed(DATABASE, len(scenario.steps))


def test_every_scenario_has_a_sentence_of_its_own():
    titles = [scenario.title for scenario in SCENARIOS]
    assert sorted(titles) == sorted(set(titles))
    assert len(titles) >= 150


def _skip_what_is_not_built(scenario: Scenario) -> None:
    if not scenario.is_built:
        pytest.skip(f"not built: {', '.join(sorted(scenario.needs))}")


def _carry_out(world: Any, step: Step) -> None:
    event = step.event
    if event.refused:
        world.refuses(event.verb, event.arguments)
    else:
        getattr(world, event.verb)(*event.arguments)


def _compare(step: Step, world: Any) -> Seen:
    """What is written about a step, and nothing else, is what is seen. Returns that."""
    expected, seen = step.expected, world.seen()
    about = f"{step.where}: after {step.event.text!r}"
    if expected.runs is not None:
        assert seen.ops_in("admitted", "running") == expected.runs, f"{about}: who runs"
    if expected.waits is not None:
        assert {name: set(gates) for name, gates in seen.waiting.items()} == expected.waits, f"{about}: who waits"
    if expected.retries is not None:
        assert seen.ops_in("up_for_retry") == expected.retries, f"{about}: who is up for retry"
    for name, state in expected.states.items():
        assert seen.states[name] == state, f"{about}: {name}"
    for gate, slots in expected.in_use.items():
        assert seen.in_use.get(gate, 0) == slots, f"{about}: in use at {gate}"
    for (name, gate), place in expected.places.items():
        assert world.place(name, gate) == place, f"{about}: the place of {name} at {gate}"
    return seen
