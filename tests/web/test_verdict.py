"""The sentence that opens the overview promises nothing that would not happen."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.dashboard import screens, verdict
from pools.models import Sampled
from pools.queries import PoolView
from runs.deployment import Now, QueueWorkers
from runs.sampling import Sampler
from tests import builders

pytestmark = pytest.mark.django_db(transaction=True)


def _two_ops_at_a_pool_of_one(workers: int) -> None:
    builders.workers(workers)
    builders.pool("database", 1)
    builders.started_run(builders.job(builders.op("a", pool="database"), builders.op("b", pool="database")))


def test_one_more_slot_is_promised_where_it_would_start_the_first_in_line(engine, viewer: Client) -> None:
    _two_ops_at_a_pool_of_one(workers=2)
    assert "With a limit of 2, the first in line would start now." in viewer.get("/").content.decode()


def test_one_more_slot_is_not_promised_while_no_worker_is_free(engine, viewer: Client) -> None:
    _two_ops_at_a_pool_of_one(workers=1)
    text = viewer.get("/").content.decode()
    assert "1 op is waiting. It wants" in text
    assert "would start now" not in text


@pytest.mark.parametrize(
    ("stuck", "said"),
    [
        (["pool:database"], ("A slot of", "database", " is held by nobody alive.")),
        (["pool:database", "pool:database"], ("2 slots of", "database", " are held by nobody alive.")),
        (["pool:database", "workers:gpu"], ("2 slots are held by nobody alive.", "", "")),
        (["runs"], ("A slot is held by nobody alive.", "", "")),
    ],
)
def test_stuck_slots_come_before_whoever_waits(stuck: list[str], said: tuple[str, str, str]) -> None:
    sentence = verdict.of([], Now(0, 1, 3, 10, 1, 1), [], [], bool, stuck)
    assert (sentence.text, sentence.pool, sentence.after) == said


# --- every rule, in its order -----------------------------------------------------------------------

MOMENT = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


def pool_of(name: str, waiting: int, limit: int | None = 8, in_use: int = 8, **how: Any) -> PoolView:
    known = {field.name: None for field in fields(PoolView)} | {"name": name, "paused_by": "", "pause_reason": ""}
    return PoolView(**known | {"waiting": waiting, "limit": limit, "in_use": in_use} | how)


def whole(sentence: verdict.Verdict) -> str:
    return f"{sentence.text}{' ' * bool(sentence.pool)}{sentence.pool}{sentence.after} {sentence.detail}".strip()


def now(queued: int = 0, progress: int = 3, waiting: int = 0, maximum: int | None = 10, **how: Any) -> Now:
    return Now(queued, progress, waiting, maximum, 1, **how)


GPU = [QueueWorkers("gpu", alive=0, busy=0, waiting=2)]
BUSY = [QueueWorkers("default", alive=4, busy=4, waiting=2)]
LONG, SHORT = pool_of("warehouse", 12), pool_of("api", 5)
PAUSED = pool_of("warehouse", 12, paused_at=MOMENT, paused_by="ann", pause_reason="maintenance")
FOR_A_WHILE = pool_of("warehouse", 12, paused_at=MOMENT, paused_by="ann", paused_until=MOMENT)
EVEN = [pool_of(name, 3) for name in "abcdef"]
ASLEEP = now(waiting=17, silent_since=MOMENT)


@pytest.mark.parametrize(
    ("pools", "at", "workers", "full", "helps", "stuck", "said"),
    [
        (
            [LONG],
            ASLEEP,
            GPU,
            [],
            False,
            ["runs"],
            "The clock is silent. It was heard last at 14:30 UTC.",
        ),
        (
            [LONG],
            now(waiting=17),
            GPU,
            [],
            False,
            ["runs"],
            "No worker is alive on queue gpu. 2 ops wait for one.",
        ),
        ([LONG], now(waiting=17), [], [], False, ["pool:warehouse"], "A slot of warehouse is held by nobody alive."),
        (
            [LONG, SHORT],
            now(waiting=17),
            [],
            [],
            False,
            [],
            "17 ops are waiting. 12 of them want warehouse, 8 of 8",
        ),
        (
            [LONG],
            now(waiting=12),
            [],
            [],
            True,
            [],
            "They want warehouse, 8 of 8 in use. With a limit of 9, the",
        ),
        ([PAUSED], now(waiting=12), [], [], True, [], "They want warehouse, paused by ann. maintenance"),
        ([FOR_A_WHILE], now(waiting=12), [], [], True, [], "They want warehouse, paused by ann until 14:30 UTC."),
        (
            [pool_of("w", 1, limit=0, in_use=0)],
            now(waiting=1),
            [],
            [],
            True,
            [],
            "It wants w, closed: its limit is 0.",
        ),
        (EVEN, now(waiting=18), [], [], False, [], "18 ops are waiting, at 6 pools."),
        (
            [],
            now(waiting=2),
            BUSY,
            [],
            False,
            [],
            "2 ops are waiting for a worker. 4 of 4 workers of queue",
        ),
        ([], now(waiting=2), [], [], False, [], "2 ops are waiting for a limit within their runs."),
        (
            [],
            now(2, 10),
            [],
            ["team=x"],
            False,
            [],
            "2 runs are queued. 10 of 10 runs are in progress: the",
        ),
        ([], now(1, 3), [], ["team=x"], False, [], "1 run is queued. It waits at the run limit on team=x."),
        ([], now(1, 3), [], [], False, [], "1 run is queued."),
        ([], now(0, 3), [], [], False, [], "Nothing waits. 3 runs in progress, every limit has room."),
        ([], now(0, 0), [], [], False, [], "Nothing is running. Launch a job to see it here."),
    ],
)
def test_each_rule_has_its_sentence_and_its_place(pools, at, workers, full, helps, stuck, said) -> None:
    assert said in whole(verdict.of(pools, at, workers, full, lambda name: helps, stuck))


# --- the clock --------------------------------------------------------------------------------------


def sampled(seconds_ago: int) -> None:
    Sampled.objects.create(step=10, upto=int(timezone.now().timestamp()) - seconds_ago)


def test_a_silent_clock_is_said_on_every_page_with_when_it_was_heard(engine, viewer: Client) -> None:
    sampled(60)
    for where in ("/", "/runs/", "/pools/"):
        text = viewer.get(where).content.decode()
        assert "The clock has been silent since <time" in text
    text = viewer.get("/").content.decode()
    assert "The clock is silent." in text
    assert "as of <time" in text
    assert "The clock has been silent since" in "".join(block.draw() for block in screens.blocks_of("rail"))


@pytest.mark.parametrize("seconds_ago", [None, 0, 20, 38])
def test_a_clock_that_was_heard_just_now_or_never_is_not_silent(engine, viewer: Client, seconds_ago) -> None:
    if seconds_ago is not None:
        sampled(seconds_ago)
    text = viewer.get("/").content.decode()
    assert "silent" not in text
    assert "as of" not in text


def test_a_clock_is_heard_by_its_samples(engine, viewer: Client) -> None:
    sampled(60)
    sampler = Sampler()
    sampler.look()
    sampler._begun = (sampler._begun or 0) - 10
    assert sampler.look()
    assert "silent" not in viewer.get("/").content.decode()
