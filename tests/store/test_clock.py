"""The clock's pass: what no event tells of, and when leases are trusted to have run out."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from pools import claims
from pools.models import Hold, Lane
from runs import recover, tickets, workforce
from runs.models import Op, Worker
from runs.transitions import ending
from tests.builders import (
    admitted_op,
    carry_out_all,
    due,
    fail,
    job,
    lapse,
    op,
    running_op,
    started_run,
    state_of,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


class Time:
    """The machine's clock, moved by hand."""

    def __init__(self, monkeypatch):
        self.now = time.time()
        monkeypatch.setattr(recover.time, "time", lambda: self.now)

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def machine(monkeypatch, settings):
    """A machine and a database that have both been up for long."""
    settings.LEASE_SECONDS = 15.0
    monkeypatch.setattr(claims, "server_uptime", lambda: 10_000.0)
    return Time(monkeypatch)


def tick(clock, machine, seconds):
    """Passes each second, for so long."""
    found = []
    for _ in range(round(seconds)):
        machine.passes(1)
        found.append(clock.one_pass())
    return found


def test_nothing_expires_until_the_clock_has_been_up_for_one_lease(machine):
    running = running_op()
    lapse(running)
    clock = recover.Clock()
    assert sum(found.leases for found in tick(clock, machine, 14)) == 0
    assert state_of(running.run) == "running"
    assert sum(found.leases for found in tick(clock, machine, 2)) == 1
    assert state_of(running.run) == "failure"


def test_after_a_gap_everybody_gets_one_leases_time_to_renew(machine):
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    machine.passes(600)  # the laptop slept
    lapse(running)
    assert clock.one_pass().leases == 0
    claims.renew([claims.Grant(f"op:{running.pk}", running.token)], 15.0)
    assert sum(found.leases for found in tick(clock, machine, 16)) == 0
    assert state_of(running.run) == "running"


def test_when_nobody_renewed_after_the_gap_the_lease_has_run_out(machine):
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    machine.passes(600)
    lapse(running)
    assert sum(found.leases for found in tick(clock, machine, 16)) == 1


def test_a_clock_that_was_set_back_is_a_gap(machine):
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    machine.passes(-3600)
    lapse(running)
    assert clock.one_pass().leases == 0


def test_a_short_pause_is_no_gap(machine):
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    machine.passes(recover.GAP - 1)
    lapse(running)
    assert clock.one_pass().leases == 1


def test_nothing_expires_after_the_database_was_away(machine):
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    clock.database_was_away()
    lapse(running)
    assert sum(found.leases for found in tick(clock, machine, 14)) == 0
    assert sum(found.leases for found in tick(clock, machine, 2)) == 1


def test_nothing_expires_until_the_database_has_been_up_for_one_lease(machine, monkeypatch):
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    monkeypatch.setattr(claims, "server_uptime", lambda: 14.0)
    lapse(running)
    assert tick(clock, machine, 1)[0].leases == 0
    monkeypatch.setattr(claims, "server_uptime", lambda: 15.0)
    assert tick(clock, machine, 1)[0].leases == 1


def test_nothing_expires_that_was_found_while_the_database_hung(machine, monkeypatch):
    """Nobody could renew meanwhile, and the pass goes on before they do."""
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)

    def hangs():
        machine.passes(60)
        for leases in (Hold.objects, Worker.objects):
            leases.update(lease_until=datetime.now(UTC) - timedelta(seconds=45))

    for query in ("drain", "clock_time", "lapsed", "server_uptime"):
        with monkeypatch.context() as hung:
            real = getattr(claims, query)
            hung.setattr(claims, query, lambda real=real: hangs() or real())
            found = clock.one_pass()
        assert (found.workers, found.leases) == (0, 0), f"{query} hung"
        tick(clock, machine, 14)
        claims.renew([claims.Grant(f"op:{running.pk}", running.token)], 15.0)
        workforce.renew(Worker.objects.values_list("id", flat=True))
        tick(clock, machine, 3)
    assert state_of(running.run) == "running"


def test_an_expiry_that_fails_is_no_reason_to_leave_the_others(machine, monkeypatch):
    first, second = running_op(), running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    lapse(first)
    lapse(second)
    real = ending._verdict_on_lost

    def fails_for_the_first(op_row, *why):
        if op_row.id == first.pk:
            raise OverflowError("date value out of range")
        return real(op_row, *why)

    with monkeypatch.context() as broken:
        broken.setattr(ending, "_verdict_on_lost", fails_for_the_first)
        assert tick(clock, machine, 1)[0].leases == 1
    assert (state_of(first.run), state_of(second.run)) == ("running", "failure")
    assert tick(clock, machine, 1)[0].leases == 1


@pytest.mark.parametrize(
    "duty",
    [
        "transitions.retry_due",
        "claims.lose_patience",
        "transitions.stop_overdue",
        "reexecution.retry_due",
        "claims.drain",
    ],
)
def test_a_duty_that_fails_is_no_reason_to_leave_the_others(machine, monkeypatch, caplog, duty):
    workers(1)
    Lane.objects.update(dirty=True)
    running = running_op()
    clock = recover.Clock()
    tick(clock, machine, 16)
    lapse(running)

    def fails():
        raise ValueError("a plan that can't be read")

    monkeypatch.setattr(f"runs.recover.{duty}", fails)
    assert tick(clock, machine, 1)[0].leases == 1
    assert "a plan that can't be read" in caplog.text


def test_the_database_says_how_long_it_has_been_up():
    assert claims.server_uptime() > 0


def test_retries_do_not_wait_for_trust_in_leases():
    running = running_op()
    fail(running, retry_in=60)
    due(running)
    assert recover.Clock().one_pass().retries == 1


def test_a_pass_with_nothing_to_do_finds_nothing(machine):
    workers(1)
    started_run()
    carry_out_all()
    clock = recover.Clock()
    assert tick(clock, machine, 20)[-1] == recover.Findings()


def test_lanes_left_to_look_at_are_looked_at(monkeypatch):
    run = started_run(job(op("only", pool="x")))
    Lane.objects.update(dirty=True)
    assert recover.Clock().one_pass().lanes == 1
    assert not Lane.objects.filter(dirty=True).exists()
    assert state_of(run) == "ready"


def test_two_clocks_do_no_harm(machine):
    running = running_op()
    lapse(running)
    clocks = [recover.Clock(), recover.Clock()]
    machine.passes(16)
    for clock in clocks:
        clock._last_look = machine.now
    assert [clock.one_pass().leases for clock in clocks] == [1, 0]


# --- lost tickets -----------------------------------------------------------------------------------


def late(op_row):
    """It was admitted a while ago and no worker has started it."""
    Op.objects.filter(pk=op_row.pk).update(admitted_at=claims.clock_time() - timedelta(seconds=5))


def ticket(op_row):
    op_row.refresh_from_db()
    return tickets.Ticket(op_row.pk, op_row.token, op_row.queue)


def test_a_ticket_that_redis_knows_is_not_issued_again():
    op_row = admitted_op()
    late(op_row)
    assert tickets.lost([ticket(op_row)]) == []
    assert recover.reissue_lost_tickets() == 0


def test_a_ticket_that_redis_lost_is_issued_again():
    op_row = admitted_op()
    late(op_row)
    tickets.connection().flushdb()
    assert tickets.lost([ticket(op_row)]) == [ticket(op_row)]
    assert recover.reissue_lost_tickets() == 1
    assert tickets.lost([ticket(op_row)]) == []
    assert recover.reissue_lost_tickets() == 0


def test_a_fresh_ticket_is_left_alone():
    admitted_op()
    tickets.connection().flushdb()
    assert recover.reissue_lost_tickets() == 0


def test_an_op_that_runs_needs_no_ticket():
    op_row = running_op()
    late(op_row)
    tickets.connection().flushdb()
    assert recover.reissue_lost_tickets() == 0
