"""A deployment with a long past: the shop of the screenshots as it is just now, behind many runs that are over.

The runs are some hundred that were carried out, and their copies: three tags each, two ops, over ninety days.
"""

from __future__ import annotations

from datetime import timedelta

import django_rq
from django.db import connection
from django.utils import timezone

from runs import run_limits, states, transitions, workforce
from runs.models import Run, Worker
from tests import backlog
from tests import builders as a
from tests.screenshots import past, scene

CARRIED_OUT = 250
REGIONS = 20
JOBS = ("nightly_billing", "growth_scores", "growth_attribution", "orders_hourly", "inventory")  # two ops each
AGO = timedelta(days=90)


def build(runs: int) -> dict[str, str]:
    """Fill an empty database: so many runs, and a day of the shop. Returns what the examples of pages are about."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -500000")  # of this connection: for writing, not for what is measured
    times = max(1, runs // CARRIED_OUT) - 1
    first, last = _carried_out()
    a.let_pass(AGO.total_seconds())
    backlog.leave_room(times)
    moment = timezone.now()
    names = scene.play(moment)
    past.play(moment)
    backlog.copy(first, last, times, apart=(AGO - timedelta(days=1)) / (times + 1), in_room=True)
    backlog.settle()
    return names


def _carried_out() -> tuple[Run, Run]:
    """Runs that have ended: one in twenty failed, one in fifty was canceled."""
    run_limits.set_maximum(-1, a.ADA)
    a.workers(2)
    runs = []
    for number in range(CARRIED_OUT):
        tags = {"region": f"region-{number % REGIONS}", "customer": f"customer-{number}"}
        run = scene.launched(JOBS[number % len(JOBS)], tags=tags)
        if number % 50 == 0:
            transitions.cancel_run(run.pk, "ops-lead")
        while admitted := a.in_state(states.ADMITTED):
            a.start(admitted[0])
            a.fail(admitted[0], f"customer {number} has no account") if number % 20 == 1 else a.end(admitted[0])
        runs.append(run)
    django_rq.get_connection("default").flushdb()  # nobody takes their tickets
    workforce.dismiss(list(Worker.objects.values_list("pk", flat=True)))
    return runs[0], runs[-1]
