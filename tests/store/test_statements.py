"""How many statements an op takes, with all four controls configured: each is a round trip, most under the lock."""

from __future__ import annotations

import os

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs import run_limits, transitions
from runs.models import OpEvent
from runs.verdict import Verdict
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

MOST = 12


def test_an_op_that_follows_another_in_its_process_takes_few_statements() -> None:
    a.pool("database", 2)
    a.tag_rule("team", 10)
    run_limits.set_maximum(10, a.ADA)
    (worker,) = a.workers(1)
    ops = [a.op(f"op_{number}", pool="database", tags={"kind": "heavy"}) for number in range(6)]
    a.launched_run(a.job(*ops, max_concurrent=4, tag_rules=[a.rule("kind", 4, "heavy")]), tags={"team": "growth"})
    begun = a.start(a.in_state("admitted")[0], worker)
    taken = []
    for _ in range(3):
        taker = transitions.Taker("default", worker.pk, os.getpid(), begun)
        with CaptureQueriesContext(connection) as queries:
            assert transitions.complete(begun.op_id, begun.token, Verdict.success(), taker)
        taken.append([q["sql"] for q in queries if q["sql"] not in ("BEGIN IMMEDIATE", "BEGIN", "COMMIT")])
        assert taker.begun is not None, "nothing followed it"
        begun = taker.begun
    assert [len(sql) for sql in taken if len(sql) > MOST] == [], "\n\n".join(taken[-1])
    a.end(a.in_state("running")[0])
    assert not OpEvent.objects.exists()
