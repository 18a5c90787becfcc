"""The history of a pool and of the deployment: charts, tables, and what is said where there is none."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from controlplane.dashboard import drawing
from controlplane.dashboard.screens import is_touched
from pools import samples, sizing
from pools.models import Sample, Sampled, Wait
from pools.samples import Level, histogram
from runs import sampling
from runs.words import duration
from tests import builders as a

POOL = "/pools/database/history/"


@pytest.fixture
def past(engine) -> None:
    """Twenty minutes of a pool, three of whose ops had to wait."""
    a.pool("database", 8)
    now = int(timezone.now().timestamp()) // 10 * 10
    for n in range(120, 0, -1):
        if n == 60:
            for seconds in (4, 20, 65):
                Wait.objects.create(
                    holder="op:1", token=1, at=timezone.now(), kind="pool", label="database", seconds=seconds
                )
        levels = {"pool:database": Level(n % 7, 6, n % 3), "runs": Level(2, 10, 4), "ops": Level(3, 5, 9)}
        samples.record(now - n * 10, levels, sampling.KINDS)
    samples.roll_up()
    sizing.set_limit("database", 9, a.ADA)


def text(client: Client, where: str) -> str:
    answer = client.get(where)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("key", ["1h", "6h", "24h", "7d", "90d"])
def test_every_range_shows_use_waits_and_changes(viewer, past, key):
    page = text(viewer, f"{POOL}?range={key}")
    assert 'class="used under"' in page
    assert 'class="limit"' in page
    assert 'class="p95"' in page
    assert "8 → 9 by ada" in page
    assert "History starts at" in page
    assert "<title" in page
    assert "In use: at most 6" in page
    assert "Show as table" in page
    assert f'?range={key}" aria-current="true"' in page
    assert "style=" not in page


def test_percentiles_are_told(viewer, past):
    page = text(viewer, POOL)
    p50, p95 = (duration(histogram.value(histogram.bucket(seconds))) for seconds in (20, 65))
    assert f"3 had to wait. p50 {p50}, p95 {p95}, p99 {p95}" in page


def test_without_samples_it_says_so(viewer, engine):
    a.pool("database", 8)
    page = text(viewer, POOL)
    assert "No history yet" in page
    assert "Nobody had to wait" in page
    assert '<svg class="chart' not in page
    assert "No history yet" in text(viewer, "/history/")


def test_the_deployment_shows_runs_workers_and_each_pool(viewer, past):
    page = text(viewer, "/history/?range=1h")
    assert "In progress: at most 2, now 2 of 10. Queued: at most 4" in page
    assert "Ops waiting: at most 9" in page
    assert '/pools/database/history/?range=1h">database</a>' in page
    assert 'class="spark used"' in page


@pytest.fixture
def a_week_ago(past) -> None:
    """The same pool a week ago, in the only resolutions that are kept for so long: 4 in use, one waited."""
    now = int(timezone.now().timestamp())
    Sampled.objects.update_or_create(step=3600, defaults={"upto": now - 6 * 86400})
    for step, stretch in ((60, 30), (3600, 2)):
        at = (now - 7 * 86400) // step * step - stretch * step
        for subject, in_use in (("pool:database", 4), ("runs", 1), ("ops", 2)):
            Sample.objects.bulk_create(
                Sample(
                    subject=subject,
                    step=step,
                    at=at + n * step,
                    in_use=in_use,
                    limit=5,
                    waiting=1,
                    waits=histogram.to_text({histogram.bucket(30): 1}) if n == 1 else "",
                )
                for n in range(stretch)
            )


@pytest.mark.parametrize("key", ["1h", "6h", "24h", "7d", "90d"])
def test_a_pool_is_compared_with_the_week_before(viewer, a_week_ago, key):
    assert "a week ago" not in text(viewer, f"{POOL}?range={key}")
    page = text(viewer, f"{POOL}?range={key}&compare=week")
    waited = duration(histogram.value(histogram.bucket(30)))
    assert "A week ago: in use at most 4, waiting at most 1." in page
    assert f"A week ago: 1 had to wait. p50 {waited}" in page
    assert page.count('class="past"') == 6  # in use, waiting, p95: each in two shapes
    assert '<i class="k-past"></i>a week ago' in page
    for column in ("In use a week ago", "Waiting a week ago", "P95 a week ago"):
        assert column in page
    assert f'?range={key}&amp;compare=week" aria-current="true"' in page
    assert "style=" not in page


def test_where_nothing_was_recorded_a_week_ago_it_says_so(viewer, past):
    page = text(viewer, f"{POOL}?compare=week")
    assert "Nothing was recorded a week ago." in page
    assert 'class="past"' not in page
    assert "k-past" not in page


def test_the_deployment_is_compared_with_the_week_before(viewer, a_week_ago):
    page = text(viewer, "/history/?compare=week")
    assert "A week ago: in progress at most 1, queued at most 1." in page
    assert "in use: at most 6, limit 6, a week ago at most 4" in page
    assert "/pools/database/history/?range=24h&amp;compare=week" not in page  # the same address, as it was asked for
    assert "/pools/database/history/?compare=week&amp;range=24h" in page


def test_the_viewer_picks_the_pools_that_are_drawn(viewer, past):
    a.pool("api", 3)
    samples.record(int(timezone.now().timestamp()) // 10 * 10, {"pool:api": Level(1, 3, 0)}, sampling.KINDS)
    assert 'history/?range=1h">database</a>' in text(viewer, "/history/?range=1h")
    page = text(viewer, "/history/?range=1h&pool=api&pool=gone&pool=")
    assert "those picked" in page
    assert ">database</a>" not in page
    assert ">api</a>" in page
    assert ">gone</a>" in page
    assert "Nothing recorded in the last hour" in page
    assert '<input type="checkbox" name="pool" value="api" checked>' in page
    assert '<input type="checkbox" name="pool" value="database">' in page
    assert "?range=6h&amp;pool=api&amp;pool=gone" in page


def test_no_more_pools_are_picked_than_are_drawn(viewer, engine):
    answer = viewer.get("/history/?" + "&".join(f"pool=p{n}" for n in range(25)))
    assert answer.status_code == 400
    assert "pool: 25 pools are picked; at most 24 are drawn at once." in answer.content.decode()


@pytest.mark.parametrize("where", [POOL, "/history/"])
def test_nothing_but_a_week_is_compared_with(viewer, past, where):
    answer = viewer.get(f"{where}?compare=month")
    assert answer.status_code == 400
    assert "compare: &#x27;month&#x27; is not week." in answer.content.decode()


@pytest.mark.parametrize(("where", "most"), [(POOL, 8), ("/history/", 11)])
def test_a_history_takes_few_queries(viewer, a_week_ago, where, most, django_assert_max_num_queries):
    with django_assert_max_num_queries(most):
        text(viewer, f"{where}?compare=week")


@pytest.mark.parametrize("where", [POOL, "/history/", "/pools/database/history.csv"])
def test_a_range_that_there_is_not_is_refused(viewer, past, where):
    answer = viewer.get(f"{where}?range=2h")
    assert answer.status_code == 400
    assert "range: &#x27;2h&#x27; is not one of 1h, 6h, 24h, 7d, 90d." in answer.content.decode()


@pytest.mark.parametrize("where", ["/pools/nothing/history/", "/pools/nothing/history.csv"])
def test_a_pool_that_there_is_not_has_no_history(viewer, where):
    assert viewer.get(where).status_code == 404


def test_the_samples_can_be_taken_away_as_csv(viewer, past):
    answer = viewer.get("/pools/database/history.csv?range=1h")
    assert answer["Content-Type"] == "text/csv"
    assert answer["Content-Disposition"] == 'attachment; filename="database-1h.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(rows) == 120
    assert {row["seconds"] for row in rows} == {"10"}
    assert sum(int(row["had_to_wait"]) for row in rows) == 3
    (waited,) = [row for row in rows if row["had_to_wait"] != "0"]
    assert float(waited["p50"]) == pytest.approx(20, rel=0.05)
    assert rows[0]["from"].endswith("Z")
    assert rows[0]["limit"] == "6"


def test_the_page_of_a_pool_shows_its_last_hour(viewer, past):
    page = text(viewer, "/pools/database/")
    assert 'id="pool-chart"' in page
    assert "Use and waiting, the last hour" in page
    assert "8 → 9 by ada" in page
    assert "/pools/database/history/?range=7d" in page
    assert "t=pool-chart%3Adatabase" in page


def test_the_overview_shows_the_last_day(viewer, past):
    page = text(viewer, "/")
    assert "Ops waiting: at most 9. Runs queued: at most 4." in page
    assert "database 8 → 9 by ada" in page
    assert '<span class="sp" id="spark-database"><svg class="spark used"' in page
    assert '<span class="sp" id="spark-figure-queued"><svg class="spark queued"' in page
    assert "t=glance" in page


def test_of_a_young_deployment_the_overview_shows_what_there_is(viewer, past):
    assert "Ops waiting and runs queued, the last hour" in text(viewer, "/")
    hours_ago = int(timezone.now().timestamp()) // 10 * 10 - 7 * 3600
    Sample.objects.create(subject="ops", step=60, at=hours_ago, in_use=1, limit=5, waiting=0, waits="")
    assert "Ops waiting and runs queued, the last 24 hours" in text(viewer, "/")


def test_the_stream_draws_charts_for_everybody_and_no_sparkline_within_what_changes_more_often(viewer, past):
    text(viewer, "/")
    drawn = drawing.draw_all(["overview", "glance", "pool-chart:database"])
    assert 'class="chart wide"' in drawn["lines"]
    assert 'class="chart wide"' in drawn["pool-chart"]
    assert "<svg" in drawn["spark-database"]
    assert "spark" not in drawn["pools"] + drawn["figures"]
    assert '<td class="hide-s" hx-morph-skip></td>' in drawn["pools"]


def test_a_sample_touches_charts_alone():
    topics = ["overview", "rail", "runs:", "run:1", "op:1", "pools", "pool:database", "queue", "glance", "pool-chart:x"]
    assert [topic for topic in topics if is_touched(topic, {"samples"})] == ["glance", "pool-chart:x"]


def test_a_pool_whose_name_ends_with_a_colon_has_its_own_history_alone(viewer, engine):
    for name, in_use in (("a:", 1), ("a:b", 7)):
        a.pool(name, 9)
        now = int(timezone.now().timestamp())
        Sample.objects.create(subject=f"pool:{name}", step=10, at=now - 60, in_use=in_use, limit=9, waiting=0, waits="")
    page = text(viewer, reverse("pool-history", args=["a:"]) + "?range=1h")
    assert "In use: at most 1" in page
    assert page.count("none → 9 by ada</title>") == 2, "one change, in two shapes"
