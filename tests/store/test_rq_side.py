"""What RQ itself has: its workers and queues, foreign jobs, and those that its own RateLimit holds back."""

from __future__ import annotations

import django_rq
import pytest
from rq import Queue, RateLimit, SimpleWorker
from rq.serializers import JSONSerializer

from runs import rq_side, tickets
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


@pytest.fixture
def mail() -> Queue:
    """A queue of somebody else's, in our Redis."""
    return Queue("mail", connection=django_rq.get_connection("default"), serializer=JSONSerializer)


def seen() -> rq_side.Seen:
    found = rq_side.seen()
    assert found is not None
    return found


def test_our_tickets_are_not_foreign() -> None:
    a.admitted_op()
    found = seen()
    assert [(queue.name, queue.waiting, queue.at_work) for queue in found.queues] == [("default", 1, 0)]
    assert (found.jobs, found.foreign, found.limits) == ([], 0, [])


def test_foreign_jobs_are_told_without_what_they_carry(mail: Queue) -> None:
    mail.enqueue("shop.mails.send", "ann@example.com", job_id="m1")
    (job,) = seen().jobs
    assert (job.id, job.calls, job.queue, job.state, job.limit) == ("m1", "shop.mails.send", "mail", "in line", "")
    assert job.since is not None


def test_a_rate_limit_and_whom_it_holds_back(mail: Queue) -> None:
    for n in range(4):
        mail.enqueue("shop.mails.send", job_id=f"m{n}", rate_limit=RateLimit("smtp", 1))
    found = seen()
    assert found.limits == [rq_side.LimitSeen("smtp", 1, let_through=1, held_back=3)]
    assert {job.id: (job.state, job.limit) for job in found.jobs} == {
        "m0": ("in line", "smtp"),
        **{f"m{n}": ("held back", "smtp") for n in (1, 2, 3)},
    }
    assert found.foreign == 4


def test_many_foreign_jobs_are_counted_and_a_few_told(mail: Queue) -> None:
    for _ in range(rq_side.MOST_SHOWN + 5):
        mail.enqueue("shop.mails.send")
    found = seen()
    assert (len(found.jobs), found.foreign) == (rq_side.MOST_SHOWN, rq_side.MOST_SHOWN + 5)


def test_a_worker_that_has_signed_on(mail: Queue) -> None:
    worker = SimpleWorker([mail], name="post", connection=mail.connection, serializer=JSONSerializer)
    worker.register_birth()
    found = seen()
    assert [(each.name, each.queues, each.job_id) for each in found.workers] == [("post", "mail", "")]
    assert found.workers[0].heard is not None
    mail.enqueue("shop.mails.send")
    assert [(queue.name, queue.waiting, queue.listening) for queue in seen().queues] == [("mail", 1, 1)]
    worker.register_death()
    assert seen().workers == []


def test_redis_is_away(monkeypatch) -> None:
    monkeypatch.setattr(tickets, "_silent_until", float("inf"))
    assert rq_side.seen() is None
