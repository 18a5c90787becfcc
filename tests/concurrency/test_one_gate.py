"""Many processes at one gate: whatever they do at once, no limit is ever exceeded, by the database's own rows."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import connection

from pools import claims, sizing
from pools.models import Gate, Hold, Waiter
from runs import recover, run_limits, states, transitions
from runs.models import Op, Run
from runs.verdict import Verdict
from tests.builders import ADA, job, launched_run, op, pool, rule, tag_rule, workers
from tests.invariants import check_engine
from tests.processes import PATIENCE, in_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]

# In one statement, so that it is true of one moment: what is in use, what may be, and what the holds say.
USE = (
    'SELECT g.in_use, g.cap, COALESCE((SELECT sum(h.slots) FROM pools_hold h WHERE h.gate_id = g.id), 0), g."limit"'
    " FROM pools_gate g WHERE g.key = %s"
)


def most_at_once(spans: Iterable[tuple[datetime, datetime, int]]) -> int:
    """The largest sum of slots at one moment, of (from, to, slots) each. Ends count before begins."""
    changes = [(begin, 1, slots) for begin, _, slots in spans] + [(end, 0, -slots) for _, end, slots in spans]
    most = now = 0
    for _, _, slots in sorted(changes):
        now += slots
        most = max(most, now)
    return most


def spans_of_ops(slots: int = 1, **which: object) -> list[tuple[datetime, datetime, int]]:
    """From when to when each op held its slots."""
    found = Op.objects.filter(admitted_at__isnull=False, ended_at__isnull=False, **which)
    return [(*span, slots) for span in found.values_list("admitted_at", "ended_at")]


def over() -> bool:
    return not Run.objects.exclude(state__in=states.RUN_TERMINAL).exists()


def until_over(act: Callable[[random.Random], bool], seed: int) -> int:
    """Act until every run is over. Returns how often it did something."""
    chance, count, deadline = random.Random(seed), 0, time.monotonic() + PATIENCE
    while not over():
        count += act(chance)
        assert time.monotonic() < deadline, f"runs do not end: {list(Op.objects.values_list('state', 'key'))}"
    return count


def works(chance: random.Random) -> bool:
    """Take one of the admitted ops, as a worker that got its ticket, and end it somehow."""
    admitted = list(Op.objects.filter(state=states.ADMITTED).values_list("id", "token")[:8])
    if not admitted:
        return False
    op_id, token = chance.choice(admitted)
    if transitions.start(op_id, token, None, 1) is None:
        return False
    end = chance.random()
    if end < 0.7:
        return transitions.complete(op_id, token, Verdict.success())
    if end < 0.8:
        return transitions.complete(op_id, token, Verdict.failure("it broke", retry_in=0 if end < 0.75 else None))
    return (transitions.give_back if end < 0.9 else transitions.op_died)(
        op_id, token, *(["gone"] if end >= 0.9 else [])
    )


def watch(key: str) -> tuple[int, int]:
    """Look at a gate until all runs are over: the most that was held at once, and how often we looked."""
    most = looks = 0
    deadline = time.monotonic() + PATIENCE
    while not over() and time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(USE, [key])
            in_use, cap, held, limit = cursor.fetchone()
        assert in_use == held
        assert cap is None or held <= cap
        assert limit is None or cap == max(limit, in_use)
        most, looks = max(most, held), looks + 1
    return most, looks


def all_is_over_and_free() -> None:
    assert over()
    assert not Hold.objects.exists()
    assert not Waiter.objects.exists()
    assert not Gate.objects.exclude(in_use=0).exists()
    check_engine()


def test_a_limit_that_stands_is_reached_and_never_exceeded():
    pool("shared", 3)
    workers(8)
    run_limits.set_maximum(-1, ADA)
    for _ in range(12):
        launched_run(job(*(op(f"op{n}", pool="shared") for n in range(4))))
    *_, (most, looks) = in_processes(
        *(partial(until_over, works, seed) for seed in range(3)), partial(watch, "pool:shared")
    )
    assert looks > 10
    assert most <= 3
    assert most_at_once(spans_of_ops(state__in=["success", "failure"])) == 3
    all_is_over_and_free()


def test_completing_asking_canceling_and_resizing_at_once():
    pool("shared", 4)
    workers(8)
    run_limits.set_maximum(-1, ADA)
    limited = job(
        *(op(f"op{n}", pool={"shared": 2 if n == 2 else 1}, tags={"kind": "ab"[n % 2]}) for n in range(5)),
        max_concurrent=2,
        tag_rules=[rule("kind", 1, "a")],
    )

    for _ in range(10):
        launched_run(limited)

    def asks() -> int:
        for n in range(10):
            launched_run(limited, priority=n % 3)
        return until_over(works, 4)

    def cancels(chance: random.Random) -> bool:
        time.sleep(0.01)
        going = list(Run.objects.exclude(state__in=states.RUN_TERMINAL).values_list("id", flat=True))
        if not going or chance.random() < 0.9:
            return False
        run_id = chance.choice(going)
        transitions.cancel_run(run_id, "ada")
        return True

    def resizes() -> int:
        """Limits go up and down, pause and open again, and end where everybody fits."""
        chance = random.Random(7)
        for _ in range(40):
            what = chance.randrange(6)
            if what == 0:
                with suppress(sizing.AlreadyPaused):
                    sizing.pause("shared", ADA)
            elif what == 1:
                sizing.resume("shared", ADA)
            elif what == 2:
                transitions.set_priority(chance.choice(Run.objects.values_list("id", flat=True)), chance.randrange(5))
            else:
                sizing.set_limit("shared", chance.randrange(5), ADA)
        sizing.resume("shared", ADA)
        return sizing.set_limit("shared", 4, ADA).limit or 0

    *_, (most, looks) = in_processes(
        *(partial(until_over, works, seed) for seed in range(3)),
        asks,
        partial(until_over, cancels, 5),
        resizes,
        partial(watch, "pool:shared"),
    )
    assert looks > 10
    assert most <= 4
    ended = {"state__in": ["success", "failure"]}
    spans = [span for n in range(5) for span in spans_of_ops(2 if n == 2 else 1, key=f"op{n}", **ended)]
    assert most_at_once(spans) <= 4
    for run in Run.objects.all():
        assert most_at_once(spans_of_ops(run=run, **ended)) <= 2
        assert most_at_once([s for n in (0, 2, 4) for s in spans_of_ops(run=run, key=f"op{n}", **ended)]) <= 1
    all_is_over_and_free()


def test_the_run_queue_and_its_tag_rules_with_many_launching_at_once():
    run_limits.set_maximum(4, ADA)
    tag_rule("team", 2, per_value=True)
    workers(8)
    first = [launched_run(tags={"team": "a"}) for _ in range(3)]

    def launches(seed: int) -> int:
        for n in range(10):
            launched_run(tags={"team": "abc"[(n + seed) % 3]}, priority=n % 2)
        return until_over(works, seed)

    *_, (most, looks) = in_processes(*(partial(launches, seed) for seed in range(3)), partial(watch, "runs"))
    assert looks > 10
    assert most <= 4
    runs = list(Run.objects.all())
    assert len(runs) == len(first) + 30
    assert most_at_once([(run.started_at, run.ended_at, 1) for run in runs]) == 4
    for team in "abc":
        tagged = [(run.started_at, run.ended_at, 1) for run in runs if run.tags["team"] == team]
        assert most_at_once(tagged) <= 2
    all_is_over_and_free()


def test_lost_workers_and_clocks_among_them():
    """Ops that nobody starts, leases that run out, several clocks: still never over, and all comes to an end."""
    pool("shared", 3)
    workers(6)
    run_limits.set_maximum(-1, ADA)
    for _ in range(20):
        launched_run(job(*(op(f"op{n}", pool="shared") for n in range(3))))

    def loses(chance: random.Random) -> bool:
        """Some hold lapses, whoever has it: nobody renewed it in time."""
        time.sleep(0.002)
        held = list(Hold.objects.filter(lease_until__isnull=False).values_list("holder", flat=True))
        ago = claims.clock_time() - timedelta(minutes=1)
        return bool(held and Hold.objects.filter(holder=chance.choice(held)).update(lease_until=ago))

    def ticks(chance: random.Random) -> bool:
        time.sleep(0.002)
        return bool(recover.expire_leases() + transitions.retry_due())

    *_, lost, expired, again, (most, looks) = in_processes(
        *(partial(until_over, works, seed) for seed in range(2)),
        partial(until_over, loses, 9),
        partial(until_over, ticks, 10),
        partial(until_over, ticks, 11),
        partial(watch, "pool:shared"),
    )
    assert lost > 0
    assert expired + again > 0
    assert looks > 10
    assert most <= 3
    all_is_over_and_free()
