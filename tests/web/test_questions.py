"""How many questions a page asks the database: a few, however much there is to show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pools.models import PoolSettings
from runs import states, transitions
from runs.models import Op, Run
from tests import builders as a
from tests.web.conftest import address

pytestmark = pytest.mark.django_db(transaction=True)

BOUNDS = ("BEGIN", "SET LOCAL", "COMMIT")  # of a read that PostgreSQL stops when it takes too long: no questions

# One of them is the session with its user; one counts what stands beside the navigation, where no other does.
MOST = {
    "/": 8,  # two of them for the charts
    "/runs/": 7,
    "/runs/?state=queued&tag=team%3Dgrowth&when=7d": 7,
    "/runs/?q=it+broke": 7,
    "/runs/views/": 3,
    "/queue/": 7,
    "/queue/limits/": 6,
    "/jobs/": 3,
    "/pools/": 5,
    "/jobs/copy_table/launch/": 7,
    "/launch/?select=orders&select=report": 7,
    "/pools/database/": 7,  # one of them for the chart
    "/runs/UID/": 11,
    "/runs/UID/why/": 8,
    "/runs/UID/ops/op_3/": 7,
    "/runs/UID/ops/op_3/sooner/": 18,  # carried out in memory by the decision itself, on what it reads anew
    "/audit/": 5,
    "/pools/database/history/": 5,
    "/history/": 6,
    "/changes/": 3,
    "/changes/?subject=pool:database&before=2": 3,
    "/changes/CHANGE/": 4,
    "/settings/": 7,
    "/workers/": 5,
    "/search/?q=o": 6,
}


def questions(client: Client, where: str) -> int:
    client.get(where)  # what is cached for good is read once
    with CaptureQueriesContext(connection) as asked:
        assert client.get(where).status_code == 200
    return sum(not query["sql"].startswith(BOUNDS) for query in asked)


@pytest.mark.parametrize("check_at_queue", [True, False])
def test_a_page_asks_little(operator: Client, busy: Run, check_at_queue: bool) -> None:
    PoolSettings.objects.update(check_at_queue=check_at_queue)
    a.launched_run(a.job(a.op("one", pool="database")), tags={"team": "growth"})
    asked = {where: questions(operator, address(where, busy)) for where in MOST}
    assert {where: count for where, count in asked.items() if count > MOST[where]} == {}


def _rows(numbers: range) -> None:
    for n in numbers:
        a.launched_run(a.job(a.op("one", pool="database"), a.op("two", pool=f"pool_{n}")), tags={"team": "growth"})


def test_more_rows_ask_no_more_questions(operator: Client, busy: Run) -> None:
    pages = [address(where, busy) for where in MOST if where != "/changes/CHANGE/"]
    _rows(range(1))
    before = {where: questions(operator, where) for where in pages}
    _rows(range(1, 7))
    assert {where: questions(operator, where) for where in pages} == before


def _pending(op: Op) -> None:
    """It waits for another op."""


def _running(op: Op) -> None:
    a.start(op)


def _retrying(op: Op) -> None:
    a.start(op)
    a.fail(op, retry_in=60)


def _waiting_again(op: Op) -> None:
    _retrying(op)
    a.due(op)
    transitions.retry_due()


def _failed(op: Op) -> None:
    a.start(op)
    a.fail(op)


def _canceled(op: Op) -> None:
    transitions.cancel_run(op.run_id, "ann")


@pytest.mark.parametrize("befalls", [_running, _retrying, _waiting_again, _failed, _canceled])
def test_the_page_of_an_op_asks_little_whatever_befell_it(
    operator: Client, engine: None, befalls: Callable[[Op], None]
) -> None:
    a.pool("database", 1)
    a.workers(2)
    op = a.admitted_op(a.op("copy", pool="database"))
    befalls(op)
    assert questions(operator, reverse("op", args=[op.run.uid, op.key])) <= 7


@pytest.mark.parametrize("state", [states.QUEUED, states.SUCCESS])
def test_the_page_of_a_run_asks_little_whatever_became_of_it(operator: Client, engine: None, state: str) -> None:
    a.workers(1)
    run = a.queued_run() if state == states.QUEUED else a.started_run()
    a.carry_out_all()
    run.refresh_from_db()
    assert run.state == state
    assert questions(operator, reverse("run", args=[run.uid])) <= 9
