"""What the audit sees outside the database: tickets in Redis, and processes of this machine. It looks twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import django_rq
import pytest
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from pools import claims
from pools.audit.books import Finding
from runs import states, tickets, workforce
from runs.audit import drift, looking, repairs
from runs.models import Op, Worker
from runs.parentage import here
from runs.tickets import Ticket
from tests.builders import ADA, admitted_op, end, job, op, running_op, start, started_run, the_op, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

AGO = timedelta(seconds=60)


@pytest.fixture
def redis():
    return django_rq.get_connection("default")


def found() -> list[Finding]:
    look = looking.look()
    assert look.certain == ()
    return list(look.doubtful)


def mended(kind: str, subject: str, *words: str) -> None:
    (finding,) = found()
    assert (finding.kind, finding.subject) == (kind, subject)
    for word in words:
        assert word in finding.text
    repairs.repair(finding, ADA)


def admitted_long_ago() -> Op:
    op_row = admitted_op()
    Op.objects.filter(pk=op_row.pk).update(admitted_at=claims.clock_time() - AGO)
    return op_row


def ticket_of(op_row: Op) -> Ticket:
    return Ticket(op_row.pk, op_row.token or 0, op_row.queue)


def put_long_ago(redis, ticket: Ticket) -> None:
    tickets.issue([ticket])
    redis.hset(Job.key_for(ticket.job_id), "enqueued_at", written(AGO))


def taken_by(redis, ticket: Ticket, worker: str) -> None:
    """A worker has taken a ticket a minute ago, as RQ writes it."""
    redis.lrem(f"rq:queue:{ticket.queue}", 0, ticket.job_id)
    redis.zadd(f"rq:wip:{ticket.queue}", {f"{ticket.job_id}:execution": time.time() + 60})
    redis.hset(Job.key_for(ticket.job_id), mapping={"worker_name": worker, "started_at": written(AGO)})


def written(ago: timedelta) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def on_queue(redis) -> list[str]:
    return Queue("default", connection=redis, serializer=JSONSerializer).get_job_ids()


# --- tickets ----------------------------------------------------------------------------------------


def test_an_op_without_a_ticket(redis):
    op_row = admitted_long_ago()
    redis.flushdb()
    mended(drift.LOST, f"op:{op_row.pk}", "was admitted at", "has no ticket on queue default")
    assert on_queue(redis) == [ticket_of(op_row).job_id]
    assert found() == []


def test_an_op_whose_ticket_was_taken_has_one(redis):
    op_row = admitted_long_ago()
    taken_by(redis, ticket_of(op_row), Worker.objects.get().name)
    assert found() == []


def test_a_ticket_that_the_clock_issues_anew_is_no_finding(redis):
    admitted_op()
    redis.flushdb()
    assert found() == []


def test_what_is_gone_at_the_second_look_was_nothing(redis, monkeypatch):
    op_row = admitted_long_ago()
    redis.flushdb()
    monkeypatch.setattr(looking.time, "sleep", lambda seconds: tickets.issue([ticket_of(op_row)]))
    assert looking.audit().findings == ()


def test_what_is_there_at_the_second_look_is_a_finding(redis, monkeypatch):
    admitted_long_ago()
    redis.flushdb()
    slept: list[float] = []
    monkeypatch.setattr(looking.time, "sleep", slept.append)
    (finding,) = looking.audit().findings
    assert finding.kind == drift.LOST
    assert slept == [looking.moment()]


def test_without_doubt_nobody_waits(monkeypatch):
    monkeypatch.setattr(looking.time, "sleep", lambda seconds: pytest.fail("it waited"))
    assert looking.audit().findings == ()


@pytest.mark.parametrize("about", ["nobody", "an op that has ended", "an old token"])
def test_a_ticket_that_lies_on_its_queue_for_nobody(redis, about):
    ended = running_op()
    end(ended)
    redis.flushdb()
    stray = {
        "nobody": Ticket(4711, 5, "default"),
        "an op that has ended": ticket_of(ended),
        "an old token": Ticket(ended.pk, 5, "default"),
    }[about]
    put_long_ago(redis, stray)
    mended(drift.STRAY, f"op:{stray.op_id}", "a ticket lies on queue default since")
    assert on_queue(redis) == []
    assert found() == []


def test_a_ticket_for_nobody_is_no_finding_while_all_workers_are_busy(redis):
    running_op()
    put_long_ago(redis, Ticket(4711, 5, "default"))
    assert found() == []


def test_what_others_put_on_a_queue_is_theirs(redis):
    workers(1)
    Queue("default", connection=redis, serializer=JSONSerializer).enqueue("os.getcwd", job_id="op-x-1")
    assert found() == []


def test_a_worker_that_goes_on_with_an_op_that_has_ended(redis):
    ended = running_op()
    end(ended)
    name = Worker.objects.get().name
    put_long_ago(redis, ticket_of(ended))
    taken_by(redis, ticket_of(ended), name)
    heard = redis.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(f"rq:pubsub:{name}")
    heard.get_message(timeout=2)
    mended(drift.UNENDING, f"op:{ended.pk}", f"worker {name} is busy with a ticket since", "is success")
    assert b'"stop-job"' in heard.get_message(timeout=2)["data"]


def test_a_process_that_is_kept_for_the_next_op_is_no_finding(redis):
    """RQ says that its worker still works on the ticket of the first op."""
    run = started_run(job(op("first"), op("next", after=["first"])))
    (worker,) = workers(1)
    first = the_op(run, "first")
    start(first)
    Op.objects.filter(pk=first.pk).update(worker=worker)
    put_long_ago(redis, ticket_of(first))
    taken_by(redis, ticket_of(first), worker.name)
    end(first)
    assert the_op(run, "next").state == states.ADMITTED
    assert found() == []
    start(the_op(run, "next"))
    Op.objects.filter(run=run, key="next").update(worker=worker)
    assert found() == []


def test_what_a_dead_worker_had_taken_is_rqs_to_forget(redis):
    workers(1)
    put_long_ago(redis, ticket := Ticket(4711, 5, "default"))
    taken_by(redis, ticket, "host.gone")
    assert found() == []


def test_a_finding_about_a_ticket_that_has_changed_is_not_touched(redis):
    op_row = admitted_long_ago()
    redis.flushdb()
    (finding,) = found()
    start(op_row)
    with pytest.raises(repairs.Gone):
        repairs.repair(finding, ADA)
    assert on_queue(redis) == []


def test_without_redis_tickets_are_not_compared_and_that_is_said(monkeypatch):
    admitted_long_ago()
    monkeypatch.setattr(tickets, "_silent_until", time.monotonic() + 60)
    look = looking.look()
    assert look.findings == ()
    assert look.unseen == ("Redis does not answer: tickets are not compared",)


# --- processes --------------------------------------------------------------------------------------


def worker_here(pid: int) -> Worker:
    (worker,) = workforce.enlist("launcher", "host", "default", 1, here())
    workforce.note_pid(worker.pk, pid)
    return worker


def test_a_worker_without_a_process():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    worker = worker_here(gone.pid)
    run = started_run(job(op("only")))
    op_row = the_op(run)
    start(op_row)
    Op.objects.filter(pk=op_row.pk).update(worker=worker)
    mended(drift.GONE, f"worker {worker.name}", f"there is no process {gone.pid} of it on host")
    assert not Worker.objects.exists()
    assert the_op(run).state == states.FAILURE
    assert found() == []


def test_a_worker_with_a_process_is_alive():
    worker_here(os.getpid())
    Worker.objects.update(born_at=claims.clock_time())
    assert found() == []
