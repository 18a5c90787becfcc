"""The clock audits at times: it repairs nothing, waits for nothing, and makes no audit that somebody has just made."""

from __future__ import annotations

import django_rq
import pytest

from pools import claims
from pools.models import Audit, Gate, Repair
from pools.sizing import Author
from runs import recover
from runs.audit import looking, record, rounds
from runs.models import Op
from tests.builders import admitted_op, pool

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


class Time:
    """The time that passes between two passes, moved by hand."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(rounds.time, "monotonic", lambda: self.now)

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def time(monkeypatch):
    return Time(monkeypatch)


@pytest.fixture
def clock(time):
    """A clock that has just started."""
    return rounds.Rounds()


def long_ago() -> None:
    Audit.objects.update(at=claims.clock_time() - looking.PATIENCE * 10)


def test_a_clock_audits_soon_after_its_start_and_then_at_times(clock, time):
    assert not clock.step()
    time.passes(rounds.FIRST)
    assert clock.step()
    long_ago()
    assert not clock.step()
    time.passes(rounds.EVERY)
    assert clock.step()
    assert list(Audit.objects.values_list("door", "drift")) == [("clock", 0), ("clock", 0)]


def test_drift_is_recorded_and_left_alone(clock, time):
    pool("database", 2)
    Gate.objects.filter(key="pool:database").update(in_use=1)
    time.passes(rounds.FIRST)
    assert clock.step()
    assert record.newest().drift == 1
    assert Gate.objects.get(key="pool:database").in_use == 1
    assert not Repair.objects.exists()
    Gate.objects.filter(key="pool:database").update(in_use=0)


def test_a_doubt_is_looked_at_again_in_a_later_pass(clock, time):
    op_row = admitted_op()
    Op.objects.filter(pk=op_row.pk).update(admitted_at=claims.clock_time() - looking.TICKET_PATIENCE * 2)
    django_rq.get_connection("default").flushdb()
    time.passes(rounds.FIRST)
    assert not clock.step()
    assert not Audit.objects.exists()
    time.passes(looking.moment() - 0.1)
    assert not clock.step()
    time.passes(0.2)
    assert clock.step()
    assert record.newest().drift == 1


def test_no_audit_is_made_that_somebody_has_just_made(clock, time):
    record.audited(Author("ada", "cli"))
    time.passes(rounds.FIRST)
    assert not clock.step()
    assert Audit.objects.count() == 1
    long_ago()
    time.passes(rounds.EVERY)
    assert clock.step()


def test_an_audit_that_takes_long_is_made_less_often(clock, time, monkeypatch):
    look = looking.look

    def slow():
        time.passes(3)
        return look()

    monkeypatch.setattr(looking, "look", slow)
    time.passes(rounds.FIRST)
    assert clock.step()
    long_ago()
    time.passes(rounds.SHARE * 3 - 1)
    assert not clock.step()
    time.passes(2)
    assert clock.step()


def test_one_that_fails_is_no_reason_to_leave_the_others(monkeypatch):
    clock = recover.Clock()
    monkeypatch.setattr(clock._rounds, "step", lambda: 1 / 0)
    clock.one_pass()
