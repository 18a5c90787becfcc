"""Tickets and word of changes travel through Redis after commit; without Redis, nothing but time is lost."""

from __future__ import annotations

import json
import logging
import socket
import time

import django_rq
import pytest
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from pools import claims
from runs import recover, tickets, transitions
from runs.tickets import Ticket
from tests.builders import admitted_op, carry_out, job, op, pool, running_op, started_run, state_of, the_op, workers
from tests.servers import free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def on_queue(name="default"):
    """The RQ jobs on a queue."""
    return Queue(name, connection=django_rq.get_connection("default"), serializer=JSONSerializer).jobs


@pytest.fixture
def no_redis(monkeypatch):
    """A Redis that does not answer."""
    client = tickets.connection().__class__(
        host="127.0.0.1", port=free_port(), socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )
    monkeypatch.setattr(tickets, "connection", lambda: client)
    monkeypatch.setattr(tickets, "_silent_until", 0.0)


@pytest.fixture
def heard():
    """Every topic that was announced since the last call."""
    listener = django_rq.get_connection("default").pubsub(ignore_subscribe_messages=True)
    listener.subscribe(tickets.CHANGES)
    assert listener.get_message(timeout=2) is None  # the subscription itself

    def topics():
        found = set()
        while message := listener.get_message(timeout=0.2):
            found.update(json.loads(message["data"]))
        return found

    yield topics
    listener.close()


# --- tickets ----------------------------------------------------------------------------------------


def test_an_admitted_op_has_one_ticket_that_names_it_and_its_token():
    op_row = admitted_op()
    (ticket,) = on_queue()
    assert (ticket.func_name, list(ticket.args)) == ("runs.worker.perform", [op_row.pk, op_row.token])
    assert ticket.id == f"op-{op_row.pk}-{op_row.token}"
    assert ticket.timeout == -1
    assert ticket.result_ttl == 0
    assert ticket.failure_ttl == 3600


def test_a_ticket_goes_to_the_queue_of_its_op():
    op_row = admitted_op(op("only", queue="gpu"))
    assert [ticket.args[0] for ticket in on_queue("gpu")] == [op_row.pk]
    assert on_queue() == []


def test_an_op_that_waits_has_none():
    started_run()
    assert on_queue() == []


def test_a_transaction_that_is_undone_issues_none():
    pool("database", 1)
    with pytest.raises(RuntimeError, match="changed my mind"), claims.desk():
        raise RuntimeError("changed my mind")
    workers(1)
    assert on_queue() == []


def test_slots_are_not_taken_inside_somebody_elses_transaction():
    with pytest.raises(RuntimeError), transaction.atomic():
        workers(1)


def test_a_batch_of_admissions_has_a_ticket_each():
    started_run(job(*(op(f"op{n}") for n in range(7))))
    workers(5)
    assert len(on_queue()) == 5


def test_a_ticket_issued_twice_is_one():
    op_row = admitted_op()
    tickets.issue([Ticket(op_row.pk, op_row.token, "default")])
    assert len({ticket.id for ticket in on_queue()}) == 1


# --- without Redis ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_redis")
def test_without_redis_everything_is_decided_all_the_same(caplog):
    with caplog.at_level(logging.WARNING, "runs.tickets"):
        op_row = admitted_op()
        carry_out(op_row)
    assert state_of(op_row.run) == "success"
    assert len(caplog.records) == 1  # and Redis is left alone for a moment


@pytest.mark.usefixtures("no_redis")
def test_while_redis_does_not_answer_no_ticket_counts_as_lost():
    op_row = admitted_op()
    assert tickets.lost([Ticket(op_row.pk, op_row.token, "default")]) == []
    assert recover.reissue_lost_tickets() == 0


def test_a_redis_that_hangs_holds_up_nobody_for_long(monkeypatch):
    """It takes connections and never answers, as a paused machine does: asked once, it is left alone for a moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = tickets.connection().__class__(
            port=listener.getsockname()[1], socket_timeout=0.3, retry=Retry(NoBackoff(), 0)
        )
        monkeypatch.setattr(tickets, "connection", lambda: client)
        monkeypatch.setattr(tickets, "_silent_until", 0.0)
        began = time.monotonic()
        for _ in range(5):
            assert tickets.lost([Ticket(n, 1, "default") for n in range(50)]) == []
        assert time.monotonic() - began < 3 * 0.3


def test_of_many_tickets_those_are_lost_that_redis_does_not_know():
    known, lost = ([Ticket(n, 1, "default") for n in numbers] for numbers in (range(1, 30), range(30, 60)))
    tickets.issue(known)
    assert tickets.lost([*lost, *known]) == lost
    assert tickets.lost([]) == []


# --- word of changes --------------------------------------------------------------------------------


def test_who_watches_is_told_what_changed(heard):
    run = started_run(job(op("only", pool="database")))
    assert {"runs", f"run:{run.pk}", "gate:runs", "gate:pool:database", "gate:workers:default"} <= heard()
    workers(1)
    assert {"workers", "gate:workers:default", "gate:pool:database", f"run:{run.pk}"} <= heard()


def test_an_edit_names_its_gate_and_the_ledger(heard):
    pool("database", 3)
    assert heard() == {"gate:pool:database", "changes"}


def test_gates_within_a_run_are_nobodys_topic(heard):
    workers(1)
    started_run(job(op("only"), max_concurrent=1))
    assert not any("ops" in topic for topic in heard())


def test_a_cancel_reaches_the_worker_that_runs_the_op():
    (worker,) = workers(1)
    run = started_run()
    op_row = the_op(run)
    transitions.start(op_row.pk, op_row.token, worker.pk, 1)
    channel = django_rq.get_connection("default").pubsub(ignore_subscribe_messages=True)
    channel.subscribe(f"rq:pubsub:{worker.name}")
    assert channel.get_message(timeout=2) is None
    transitions.cancel_run(run.pk, "ada")
    message = channel.get_message(timeout=2)
    assert json.loads(message["data"]) == {"command": "interrupt", "op": op_row.pk}
    channel.close()


def test_a_run_that_ends_while_it_is_being_announced(heard):
    running = running_op()
    heard()
    transitions.cancel_run(running.run_id, "ada")
    assert f"run:{running.run_id}" in heard()
