"""The sentence that opens the overview promises nothing that would not happen."""

from __future__ import annotations

import pytest
from django.test import Client

from controlplane.dashboard import verdict
from runs.deployment import Now
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
