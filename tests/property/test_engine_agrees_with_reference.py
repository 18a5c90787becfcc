"""Random schedules of events: after each, the engine on the database stands as the slow model says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pools import claims, explain
from pools.claims import Ask, HolderKind
from pools.models import Gate
from pools.rules import GateSpec, Need
from tests.conftest import clear
from tests.invariants import check_pools
from tests.plugin import DATABASE
from tests.reference import Candidate, Model

POOLS = ("pool:a", "pool:b", "pool:c")
WORKERS = ("workers:x", "workers:y")
RUNS = tuple(f"run:{n}:ops" for n in range(1, 5))
START = datetime(2026, 1, 1, tzinfo=UTC)


def kind_of(key: str) -> str:
    return {"pool": "pool", "workers": "workers", "run": "executor"}[key.partition(":")[0]]


class Engine(RuleBasedStateMachine):
    """Candidates of several runs ask, end, are canceled, change priority; limits move; gates pause."""

    def __init__(self) -> None:
        super().__init__()
        clear()
        self.model = Model()
        self.tokens: dict[str, int] = {}
        self.count = 0
        claims.register("test", HolderKind(self.admitted, self.lapsed, self.gave_up, lease=60.0))

    def admitted(self, desk, grants) -> None:
        for grant in grants:
            assert grant.holder not in self.tokens
            self.tokens[grant.holder] = grant.token

    def lapsed(self, desk, grant) -> None: ...

    def gave_up(self, desk, number, waited_for) -> None: ...

    @initialize(limits=st.lists(st.integers(0, 3), min_size=9, max_size=9))
    def open(self, limits) -> None:
        with claims.desk() as desk:
            for key, limit in zip((*POOLS, *WORKERS, *RUNS), limits, strict=True):
                limit = None if key == "pool:c" and limit == 3 else limit
                gate_id = desk.open_gates([GateSpec(kind_of(key), key, key.partition(":")[2])])[key]
                desk.resize(gate_id, limit)
                self.model.limits[key] = limit

    @rule(
        pools=st.dictionaries(st.sampled_from(POOLS), st.integers(1, 2), max_size=2),
        worker=st.sampled_from(WORKERS),
        run=st.sampled_from(RUNS),
        priorities=st.lists(st.integers(-1, 1), min_size=1, max_size=4),
    )
    def ask(self, pools, worker, run, priorities) -> None:
        asks = []
        for priority in priorities:
            self.count += 1
            since = START + timedelta(seconds=self.count)
            needs = {**pools, worker: 1, run: 1}
            holder = f"test:{self.count}"
            self.model.ask(Candidate(holder, priority, since.timestamp(), needs))
            asks.append(
                Ask(holder, priority, since, [Need(GateSpec(kind_of(k), k, k), slots) for k, slots in needs.items()])
            )
        with claims.desk() as desk:
            desk.ask(asks)
        self.model.settle()

    @precondition(lambda self: self.tokens)
    @rule(pick=st.integers(0, 99), how_many=st.integers(1, 3))
    def end(self, pick, how_many) -> None:
        ending = [sorted(self.tokens)[(pick + n) % len(self.tokens)] for n in range(min(how_many, len(self.tokens)))]
        with claims.desk() as desk:
            for holder in ending:
                assert desk.release(holder, self.tokens[holder])
                assert not desk.release(holder, self.tokens[holder])
                del self.tokens[holder], self.model.holding[holder]
        self.model.settle()

    @precondition(lambda self: self.model.waiting)
    @rule(pick=st.integers(0, 99), how_many=st.integers(1, 3))
    def cancel(self, pick, how_many) -> None:
        waiting = sorted(self.model.waiting)
        leaving = {waiting[(pick + n) % len(waiting)] for n in range(how_many)}
        with claims.desk() as desk:
            desk.withdraw(sorted(leaving))
        for holder in leaving:
            del self.model.waiting[holder]
        self.model.settle()

    @precondition(lambda self: self.tokens)
    @rule(pick=st.integers(0, 99))
    def back_in_line(self, pick) -> None:
        """An admitted candidate returns to its old place, as an op does whose worker never started it."""
        holder = sorted(self.tokens)[pick % len(self.tokens)]
        candidate = self.model.holding.pop(holder)
        token = self.tokens.pop(holder)
        since = datetime.fromtimestamp(candidate.since, UTC)
        with claims.desk() as desk:
            desk.release(holder, token)
            needs = [Need(GateSpec(kind_of(k), k, k), slots) for k, slots in candidate.needs.items()]
            desk.ask([Ask(holder, candidate.priority, since, needs)])
        self.model.ask(candidate)
        self.model.settle()

    @precondition(lambda self: self.model.waiting)
    @rule(pick=st.integers(0, 99), priority=st.integers(-2, 2))
    def reprioritize(self, pick, priority) -> None:
        holder = sorted(self.model.waiting)[pick % len(self.model.waiting)]
        with claims.desk() as desk:
            assert desk.reprioritize(holder, priority)
        self.model.waiting[holder].priority = priority
        self.model.settle()

    @rule(key=st.sampled_from((*POOLS, *WORKERS)), limit=st.one_of(st.integers(0, 4), st.none()))
    def resize(self, key, limit) -> None:
        with claims.desk() as desk:
            desk.resize(Gate.objects.get(key=key).pk, limit)
        self.model.limits[key] = limit
        self.model.settle()

    @rule(key=st.sampled_from(POOLS), paused=st.booleans())
    def pause(self, key, paused) -> None:
        with claims.desk() as desk:
            desk.pause(Gate.objects.get(key=key).pk, paused)
        (self.model.paused.add if paused else self.model.paused.discard)(key)
        self.model.settle()

    @precondition(lambda self: self.model.waiting)
    @rule()
    def give_the_first_what_its_explanation_says(self) -> None:
        """Room at exactly the gates that it names, and it starts; nobody stands before it to take that away."""
        first = min(self.model.waiting.values(), key=lambda candidate: candidate.place)
        told = explain.of(first.holder)
        assert told is not None
        assert told.blocking, f"{first.holder} waits for nothing"
        with claims.desk() as desk:
            for check in told.blocking:
                desk.pause(check.gate.id, False)
                desk.resize(check.gate.id, check.gate.in_use + check.slots)
        for check in told.blocking:
            self.model.paused.discard(check.gate.key)
            self.model.limits[check.gate.key] = check.gate.in_use + check.slots
        self.model.settle()
        assert first.holder in self.tokens

    @invariant()
    def agrees(self) -> None:
        books, waiters = check_pools()
        assert set(self.tokens) == set(self.model.holding) == {hold.holder for hold in books.holds}
        assert set(waiters) == set(self.model.waiting)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("looks", [1000, 2], ids=["in one transaction", "in many small ones"])
def test_engine_agrees_with_the_reference_model(engine, monkeypatch, looks) -> None:
    monkeypatch.setattr("pools.claims.board.LOOKS", looks)
    monkeypatch.setattr("pools.claims.board.AHEAD", 3)
    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=60 if DATABASE == "sqlite" else 20,  # PostgreSQL takes three times as long for each
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
