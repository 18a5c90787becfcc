"""When those in line will likely start is worked out from what is recorded; silent where that says too little."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from pools.models import Wait
from runs import estimates, states
from runs.estimates import NotKnown
from runs.models import Op, Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

HELD = timedelta(minutes=1)


def launch(number: int, key: str = "load", pool: object = "db") -> None:
    for _ in range(number):
        a.launched_run(a.job(a.op(key, pool=pool)))


def serve(number: int) -> None:
    """So many of those in line have held a slot for a minute and given it back."""
    for _ in range(number):
        a.carry_out(a.in_state(states.ADMITTED)[0])
    Op.objects.filter(state=states.SUCCESS).update(ended_at=F("admitted_at") + HELD)
    Run.objects.filter(state=states.SUCCESS).update(ended_at=F("started_at") + HELD)


@pytest.fixture
def line(engine):
    """One slot, five in line; twelve have held it, the last of which has just been admitted."""
    a.run_limits.set_maximum(-1, a.ADA)
    a.workers(10)
    a.pool("db", 1)
    launch(19)
    serve(13)


def seconds(line: estimates.Line, place: int, limit: int | None = None) -> float:
    return (line.starts([place], limit)[place].at - line.now).total_seconds()


def test_it_is_as_the_last_ones_held_it(line):
    found = estimates.of_pool("db")
    assert found.number == 12  # the first did not wait for it
    assert found.service.length == 5
    assert [round(seconds(found, place)) for place in (1, 2, 5)] == [60, 120, 300]
    empty = found.empty()
    assert empty is not None
    assert round((empty.at - found.now).total_seconds()) == 300
    assert found.starts([6]) == {}


def test_another_limit_starts_them_sooner_as_far_as_nothing_else_stops_them(line):
    found = estimates.of_pool("db")
    assert [round(seconds(found, place, 3)) for place in (2, 5)] == [0, 60]
    assert found.starts([5], 11) == {}, "there are ten workers"


def test_who_holds_has_held_for_a_while(line):
    a.let_pass(20)
    assert round(seconds(estimates.of_pool("db"), 1)) == 40


def test_what_is_old_or_has_been_tried_again_since_is_not_counted(line):
    Wait.objects.update(at=F("at") - timedelta(days=8))
    with pytest.raises(NotKnown, match="Fewer than 10 are recorded that waited for it in the last 7 days"):
        estimates.of_pool("db")
    Wait.objects.update(at=F("at") + timedelta(days=8))
    assert estimates.of_pool("db")
    Op.objects.filter(state=states.SUCCESS).update(token=1)
    with pytest.raises(NotKnown, match="Fewer than 10"):
        estimates.of_pool("db")


def test_it_is_silent_where_it_would_be_a_guess(line):
    a.sizing.pause("db", a.ADA)
    with pytest.raises(NotKnown, match="It is paused"):
        estimates.of_pool("db")
    a.sizing.resume("db", a.ADA)
    a.pool("db", 0)
    with pytest.raises(NotKnown, match="limit is 0"):
        estimates.of_pool("db")
    a.pool("db", 1)
    with pytest.raises(NotKnown, match="nothing recorded"):
        estimates.of_pool("nobody")
    serve(6)
    with pytest.raises(NotKnown, match="Nobody waits"):
        estimates.of_pool("db")


def test_it_is_silent_about_those_in_line_who_are_not_alike(line):
    launch(6, key="other")
    with pytest.raises(NotKnown, match="Most of those in line"):
        estimates.of_pool("db")
    a.pool("api", 0)
    launch(1, pool={"db": 1, "api": 1})
    with pytest.raises(NotKnown, match="another limit"):
        estimates.of_pool("db")
    a.pool("api", 9)
    launch(1, pool={"db": 2})
    with pytest.raises(NotKnown, match="several slots"):
        estimates.of_pool("db")


def test_runs_that_wait_for_the_maximum(engine):
    a.workers(30)
    a.run_limits.set_maximum(1, a.ADA)
    launch(19, pool=None)
    serve(13)
    found = estimates.of_gate("runs")
    assert found.number == 12
    assert [round(seconds(found, place)) for place in (1, 5)] == [60, 300]


def test_it_reads_little(line, django_assert_max_num_queries):
    with django_assert_max_num_queries(7):
        estimates.of_pool("db")
