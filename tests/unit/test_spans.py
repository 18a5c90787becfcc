"""What an op's time went into, from what was recorded of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from runs import states
from runs.spans import DELAYED, RUNNING, STARTING, WAITING, Attempt, Record, Span, Wait, at_least_one, of_op, share
from runs.verdict import CRASHED, FAILED, GIVEN_BACK

POOL, EXECUTOR = ("pool", "database"), ("executor", "ops at once")


def at(seconds: float) -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=seconds)


def told(op: Record, now: float = 100) -> list[tuple[str, float, float]]:
    spans = of_op(op, at(now))
    return [(span.kind, (span.begin - at(0)).total_seconds(), (span.end - at(0)).total_seconds()) for span in spans]


def test_an_op_that_is_not_ready_has_no_time_of_its_own():
    assert told(Record(states.PENDING)) == []
    assert told(Record(states.SKIPPED, ended_at=at(5))) == []


def test_a_wait_a_start_and_a_run():
    op = Record(states.SUCCESS, at(0), at(5), at(6), at(16), [Wait(at(5), {POOL: 3.0, EXECUTOR: 2.0})])
    assert told(op) == [(WAITING, 0, 5), (STARTING, 5, 6), (RUNNING, 6, 16)]


def test_who_started_at_once_has_not_waited():
    assert told(Record(states.RUNNING, at(0), at(0), at(1))) == [(STARTING, 0, 1), (RUNNING, 1, 100)]


def test_who_waits_has_waited_until_now_by_limit():
    (span,) = of_op(Record(states.READY, at(60), waiting={POOL: 40.0}), at(100))
    assert (span.kind, span.begin, span.waited, span.goes_on) == (WAITING, at(60), {POOL: 40.0}, True)


def test_a_retry_has_a_delay_and_a_wait_of_its_own():
    op = Record(
        states.SUCCESS, at(40), at(45), at(45), at(50),
        waits=[Wait(at(2), {POOL: 2.0}), Wait(at(45), {POOL: 5.0})], attempts=[Attempt(at(2), at(10), FAILED)],
    )  # fmt: skip
    assert told(op) == [(WAITING, 0, 2), (RUNNING, 2, 10), (DELAYED, 10, 40), (WAITING, 40, 45), (RUNNING, 45, 50)]
    assert [span.ended for span in of_op(op, at(100)) if span.kind == RUNNING] == [FAILED, states.SUCCESS]


def test_while_the_delay_lasts_it_goes_on():
    op = Record(states.UP_FOR_RETRY, at(0), at(0), at(0), at(10), attempts=[Attempt(at(0), at(10), FAILED)])
    assert told(op, now=15) == [(RUNNING, 0, 10), (DELAYED, 10, 15)]


def test_the_last_attempt_is_not_counted_twice():
    op = Record(states.FAILURE, at(0), at(0), at(0), at(10), attempts=[Attempt(at(0), at(10), FAILED)])
    assert told(op) == [(RUNNING, 0, 10)]


def test_what_was_given_back_waits_again():
    op = Record(
        states.RUNNING, at(0), at(9), at(10),
        waits=[Wait(at(9), {POOL: 4.0})], attempts=[Attempt(at(0), at(5), GIVEN_BACK)],
    )  # fmt: skip
    assert told(op, now=20) == [(RUNNING, 0, 5), (WAITING, 5, 9), (STARTING, 9, 10), (RUNNING, 10, 20)]


def test_slots_that_came_to_nothing_are_a_start():
    op = Record(states.RUNNING, at(0), at(40), at(41), waits=[Wait(at(2), {POOL: 2.0}), Wait(at(40), {POOL: 6.0})])
    assert told(op, now=50) == [(WAITING, 0, 2), (STARTING, 2, 34), (WAITING, 34, 40), (STARTING, 40, 41),
                                (RUNNING, 41, 50)]  # fmt: skip


def test_of_a_wait_that_was_cut_short_the_limits_are_not_known():
    (span,) = of_op(Record(states.CANCELED, at(3), ended_at=at(9)), at(100))
    assert (span.kind, span.seconds, span.waited) == (WAITING, 6, {})


@pytest.mark.parametrize(
    ("ready", "cause", "expected"),
    [
        (0, FAILED, [(DELAYED, 10, 30)]),
        (20, FAILED, [(DELAYED, 10, 20), (WAITING, 20, 30)]),
        (0, CRASHED, [(WAITING, 10, 30)]),
    ],
)
def test_stopped_after_an_attempt(ready, cause, expected):
    op = Record(states.CANCELED, at(ready), at(0), at(0), at(30), attempts=[Attempt(at(0), at(10), cause)])
    assert told(op)[-len(expected) :] == expected


def test_of_several_ops_what_goes_on_first_counts():
    spans = [
        Span(RUNNING, at(0), at(4)),
        Span(WAITING, at(0), at(8)),
        Span(DELAYED, at(7), at(9)),
        Span(RUNNING, at(2), at(5)),
    ]
    assert at_least_one(spans, at(0), at(10)) == {RUNNING: 5, STARTING: 0, WAITING: 3, DELAYED: 1, "": 1}
    assert share(spans) == {RUNNING: 7, STARTING: 0, WAITING: 8, DELAYED: 2}


moments = some.integers(0, 100)
pairs = some.tuples(moments, moments).map(sorted)


@given(some.lists(some.tuples(some.sampled_from([RUNNING, STARTING, WAITING, DELAYED]), pairs), max_size=12), pairs)
def test_the_parts_of_a_stretch_add_up_to_it(drawn, stretch):
    spans = [Span(kind, at(begin), at(end)) for kind, (begin, end) in drawn]
    begin, end = stretch
    found = at_least_one(spans, at(begin), at(end))
    assert sum(found.values()) == end - begin
    for kind, order in ((RUNNING, [RUNNING]), (STARTING, [RUNNING, STARTING])):
        touched = sum(any(b <= second < e and k in order for k, (b, e) in drawn) for second in range(begin, end))
        assert sum(found[name] for name in order) == touched, kind


@given(some.lists(pairs, max_size=4), some.lists(some.tuples(moments, some.integers(0, 9)), max_size=4), moments)
def test_spans_of_an_op_stand_one_after_the_other(attempts, waits, ready):
    op = Record(
        states.SUCCESS, at(ready), at(0), None, at(100),
        [Wait(at(end), {POOL: float(seconds)}) for end, seconds in waits],
        [Attempt(at(begin), at(end), FAILED) for begin, end in attempts],
    )  # fmt: skip
    spans = of_op(op, at(100))
    assert all(one.end <= following.begin for one, following in pairwise(spans))
    assert all(span.begin <= span.end for span in spans)
