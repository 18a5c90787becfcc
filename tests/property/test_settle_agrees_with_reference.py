"""`rules.settle` on a board in memory: after any schedule of events it stands as the slow model says."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from tests.boards import MemoryBoard
from tests.reference import Candidate, Model

SHARED = ("a", "b", "workers")
PRIVATE = ("executor_1", "executor_2", "executor_3")
NAMES = (*SHARED, *PRIVATE)

asks = st.tuples(
    st.just("ask"),
    st.dictionaries(st.sampled_from(("a", "b")), st.integers(1, 3), max_size=2),
    st.sampled_from(PRIVATE),
    st.integers(-1, 1),
    st.integers(1, 3),
)
events = st.one_of(
    asks,
    st.tuples(st.just("end"), st.integers(0, 99)),
    st.tuples(st.just("withdraw"), st.integers(0, 99)),
    st.tuples(st.just("resize"), st.sampled_from(SHARED), st.one_of(st.none(), st.integers(0, 4))),
    st.tuples(st.just("pause"), st.sampled_from(SHARED), st.booleans()),
)


class Both:
    """The board and the model, given the same events."""

    def __init__(self, limits: list[int]) -> None:
        self.board = MemoryBoard(dict(zip(NAMES, limits, strict=True)))
        self.model = Model(limits=dict(self.board.limits))
        self.count = 0

    def ask(self, pools, private, priority, how_many) -> None:
        for _ in range(how_many):
            self.count += 1
            needs = {**pools, "workers": 1, private: 1}
            self.board.ask(f"op:{self.count}", priority, self.count, **needs)
            self.model.ask(Candidate(f"op:{self.count}", priority, self.count, needs))

    def end(self, pick) -> None:
        if self.model.holding:
            holder = sorted(self.model.holding)[pick % len(self.model.holding)]
            self.board.release(holder)
            del self.model.holding[holder]

    def withdraw(self, pick) -> None:
        if self.model.waiting:
            holder = sorted(self.model.waiting)[pick % len(self.model.waiting)]
            self.board.withdraw(holder)
            del self.model.waiting[holder]

    def resize(self, name, limit) -> None:
        self.board.limits[name] = self.model.limits[name] = limit
        self.board.touch(name)

    def pause(self, name, paused) -> None:
        for where in (self.board.paused, self.model.paused):
            (where.add if paused else where.discard)(name)
        self.board.touch(name)

    def settle(self, looks: int) -> None:
        self.model.settle()
        self.board.decide(looks)

    def compare(self) -> None:
        assert set(self.board.holding) == set(self.model.holding)
        assert set(self.board.waiting) == set(self.model.waiting)
        for name, use in self.board.in_use.items():
            assert use == self.model.in_use(name)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=len(NAMES), max_size=len(NAMES)),
    st.lists(events, max_size=40),
    st.sampled_from([1000, 1, 2]),
)
def test_settle_agrees_with_the_reference_model(limits, schedule, looks):
    both = Both(limits)
    for name, *arguments in schedule:
        getattr(both, name)(*arguments)
        both.settle(looks)
        both.compare()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=len(NAMES), max_size=len(NAMES)),
    st.lists(st.lists(events, max_size=6), max_size=8),
)
def test_several_events_in_one_decision_are_settled_as_one(limits, decisions):
    both = Both(limits)
    for decision in decisions:
        for name, *arguments in decision:
            getattr(both, name)(*arguments)
        both.settle(1000)
        both.compare()
