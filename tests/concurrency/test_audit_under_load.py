"""An audit while everything moves finds nothing that is not so: real workers, live edits, cancels, and deaths."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from pools import sizing
from runs import run_limits, states, tickets, transitions
from runs.audit import looking
from runs.models import Op, Run
from runs.tag_limits import TagLimit
from tests.builders import ADA
from tests.concurrency.deployments import Deployment, is_there
from tests.servers import wait_for

JOBS = ("many_brief", "sums", "ends", "one_op", "one_dies_once")
RUNS = 40
PATIENCE = 120.0  # seconds

pytestmark = pytest.mark.django_db(transaction=True)


class Doubts:
    """What looks were not sure of, and since when each was seen at every look."""

    def __init__(self) -> None:
        self.since: dict[str, float] = {}
        self.looks = 0

    def look(self) -> None:
        found = looking.look()
        self.looks += 1
        assert found.certain == (), [finding.text for finding in found.certain]
        now = time.monotonic()
        self.since = {finding.mark: self.since.get(finding.mark, now) for finding in found.doubtful}
        lasting = [f.text for f in found.doubtful if now - self.since[f.mark] > looking.moment()]
        assert not lasting, lasting


def test_no_false_finding_under_load(deployment: Deployment) -> None:
    chance = random.Random(20261125)
    run_limits.set_maximum(8, ADA)
    deployment.worker(4)
    deployment.clock()
    doubts = Doubts()
    runs = [deployment.launch(chance.choice(JOBS), tags={"team": chance.choice("ab")}) for _ in range(RUNS)]
    unfinished = Run.objects.exclude(state__in=states.RUN_TERMINAL)
    deadline = time.monotonic() + PATIENCE
    while unfinished.exists():
        assert time.monotonic() < deadline, f"{unfinished.count()} runs did not end"
        doubts.look()
        match chance.randrange(12):
            case 0:
                sizing.set_limit("shared", chance.randint(1, 4), ADA)
            case 1:
                run_limits.set_maximum(chance.randint(2, 8), ADA)
            case 2:
                run_limits.set_rule(TagLimit("team", chance.randint(1, 5), per_value=True), ADA)
            case 3:
                transitions.set_priority(chance.choice(runs).pk, chance.randint(-2, 2))
            case 4 if chance.random() < 0.3:
                transitions.cancel_run(chance.choice(runs).pk, "ada")
            case 5:
                kill_an_op(chance)
            case 6:
                retry_what_is_up_for_it()
    assert doubts.looks > 50
    assert looking.audit().findings == ()


def kill_an_op(chance: random.Random) -> None:
    """End the process of an op that runs, without a word."""
    for op in Op.objects.filter(state=states.RUNNING, pid__isnull=False).order_by("id")[chance.randrange(2) :][:1]:
        try:
            os.kill(op.pid or 0, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended


def retry_what_is_up_for_it() -> None:
    for op in Op.objects.filter(state=states.UP_FOR_RETRY):
        transitions.give_up(op.pk, op.attempt, "ada")


def test_rq_has_what_the_audit_compares(deployment: Deployment) -> None:
    """A ticket that a worker works on is seen as taken by it: RQ's registries are read as this version writes them."""
    deployment.worker(1)
    run = deployment.launch("one_waits")
    pid = deployment.noted("started-waits-1")
    (seen,) = tickets.seen(["default"]) or []
    op = Op.objects.select_related("worker").get(run=run)
    assert op.worker is not None
    assert (seen.ticket.op_id, seen.ticket.token, seen.worker) == (op.pk, op.token, op.worker.name)
    assert seen.since is not None
    assert seen.since >= run.queued_at
    # An op that was ended in the database alone: the worker is told to end the process, and does.
    tickets.stop(seen.ticket, seen.worker)
    wait_for(lambda: not is_there(pid), "the process was not ended", 10)
    wait_for(lambda: tickets.seen(["default"]) == [], "the ticket is still there", 10)
    wait_for(lambda: Op.objects.get(pk=op.pk).state == states.FAILURE, "its death was not noticed", 10)
