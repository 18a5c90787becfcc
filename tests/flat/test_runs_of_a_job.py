"""The runs of a job that had none for long cost the same, however many others were launched since."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from runs import filters, states
from runs.filters import Filter
from runs.models import Run
from tests import builders as a
from tests.flat import work

pytestmark = pytest.mark.django_db(transaction=True)

AT_MOST = 1.5  # times as much
RARE = 2_500  # of so many that they seem to be everywhere


def over(like: Run, job: str, count: int, ago: timedelta) -> None:
    """So many runs of a job that ended so long ago."""
    then = timezone.now() - ago
    rows = [
        Run(
            uid=uuid4().hex,
            job=job,
            plan_id=like.plan_id,
            state=states.SUCCESS,
            launched_by="ann",
            door="cli",
            queued_at=then,
            ended_at=then,
        )
        for _ in range(count)
    ]
    Run.objects.bulk_create(rows, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runs_run")


def costs(last: int) -> dict[str, int]:
    rare = Filter(job="rare")
    acts = {
        "a page of them": lambda: filters.find(rare),
        "its next page": lambda: filters.find(rare, before=last - 10),
        "those of the last day": lambda: filters.find(Filter(job="rare", span="24h")),
        "those until a year ago": lambda: filters.find(Filter(job="busy", until=timezone.now() - timedelta(days=365))),
        "how many came later": lambda: filters.newer(rare, last),
    }
    for act in acts.values():
        act()
    return {name: work.of(act) for name, act in acts.items()}


def test_those_of_others_are_not_read(engine):
    like = a.launched_run()
    over(like, "rare", RARE, timedelta(days=90))
    last = Run.objects.latest("id").pk
    assert (len(filters.find(Filter(job="rare")).runs), filters.find(Filter(job="rare")).total) == (filters.MOST, RARE)
    over(like, "busy", 1_000, timedelta(days=30))
    few = costs(last)
    over(like, "busy", 8_000, timedelta(minutes=30))
    many = costs(last)
    grown = {name: (few[name], cost) for name, cost in many.items() if cost > AT_MOST * few[name] + 100}
    assert not grown
