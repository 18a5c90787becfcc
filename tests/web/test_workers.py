"""The workers and RQ's own side, on their page."""

from __future__ import annotations

import django_rq
import pytest
from django.test import Client
from rq import Queue, RateLimit
from rq.serializers import JSONSerializer

from runs import tickets, transitions
from runs.models import Run, Worker
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_worker(operator: Client) -> None:
    text = operator.get("/workers/").content.decode()
    assert "No worker" in text
    assert "manage.py worker" in text
    assert "No queue yet." in text
    assert "Every job in this Redis is a ticket of ours" in text


def test_a_worker_and_its_op(operator: Client) -> None:
    op = a.admitted_op(a.op("copy"))
    assert transitions.start(op.pk, op.token or 0, Worker.objects.get().pk, 4711)
    text = operator.get("/workers/").content.decode()
    assert "1 worker<" in text
    assert "1 busy, on 1 host<" in text
    assert f'<a href="/runs/{op.run.uid}/ops/copy/">copy</a>' in text
    assert "RQ does not know it" in text, "a builder made its row, and no process signed on"


def test_what_is_not_ours_and_what_holds_it_back(operator: Client) -> None:
    mail = Queue("mail", connection=django_rq.get_connection("default"), serializer=JSONSerializer)
    for n in range(3):
        mail.enqueue("shop.mails.send", "ann@example.com", job_id=f"m{n}", rate_limit=RateLimit("smtp", 1))
    text = operator.get("/workers/").content.decode()
    assert text.count("Held back</span>") == 2
    assert "2 held back" in text
    assert '<span class="is-fail">none</span>' in text, "nobody listens to that queue"
    assert "ann@example.com" not in text


def test_redis_does_not_answer(operator: Client, busy: Run, monkeypatch) -> None:
    monkeypatch.setattr(tickets, "_silent_until", float("inf"))
    response = operator.get("/workers/")
    text = response.content.decode()
    assert response.status_code == 200
    assert "Redis does not answer." in text
    assert "4 workers<" in text
    assert "RQ does not know it" not in text
