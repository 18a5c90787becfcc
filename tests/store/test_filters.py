"""Runs are found by state, job, tag, time and text: exactly those that match, and with bounded work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from pools import claims
from runs import bulk_cancel, filters, run_limits
from runs.filters import Filter
from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.usefixtures("engine")


def found(wanted: Filter, before: int | None = None) -> list[Run]:
    return filters.find(wanted, before).runs


# --- what matches -----------------------------------------------------------------------------------


def test_runs_are_found_by_the_beginning_of_their_uid():
    run, other = a.launched_run(), a.launched_run()
    assert found(Filter(text=run.uid[:12])) == [run]
    assert found(Filter(text=other.uid)) == [other]
    assert found(Filter(text="0123456789abcdef")) == []


def test_runs_are_found_by_words_of_an_error():
    a.workers(2)
    broken = a.running_op()
    a.fail(broken, "ConnectionError: reset by peer, 100% sure")
    unsaid = a.launched_run()
    Run.objects.filter(pk=unsaid.pk).update(error="time is up")
    for text in ("connectionerror", "Reset by", "100% s"):
        assert [run.pk for run in found(Filter(text=text))] == [broken.run_id]
    assert found(Filter(text="time is")) == [unsaid]
    assert found(Filter(text="1000")) == found(Filter(text="reset_by")) == []
    assert [run.pk for run in found(Filter("failure", text="peer"))] == [broken.run_id]
    assert found(Filter("queued", text="peer")) == []


def test_runs_are_found_by_the_time_of_their_launch():
    old = a.launched_run()
    a.let_pass(3 * 24 * 3600)
    middle = a.launched_run()
    a.let_pass(2 * 3600)
    new = a.launched_run()
    assert found(Filter(span="1h")) == [new]
    assert found(Filter(span="24h")) == [new, middle]
    assert found(Filter(span="7d")) == [new, middle, old]
    now = timezone.now()
    assert found(Filter(since=now - timedelta(days=1), until=now - timedelta(hours=1))) == [middle]
    assert found(Filter(until=now - timedelta(hours=1))) == [middle, old]
    assert found(Filter(since=now + timedelta(days=1))) == found(Filter(until=now - timedelta(days=9))) == []


def test_parts_of_a_filter_all_have_to_match():
    a.workers(1)
    a.launched_run(tags={"team": "a"})
    wanted = a.queued_run(tags={"team": "a"})
    a.launched_run(tags={"team": "b"})
    assert found(Filter("queued", "job", "team=a", span="1h")) == [wanted]


# --- pages and counts -------------------------------------------------------------------------------


@pytest.fixture
def sixty() -> list[int]:
    """Ids of sixty queued runs, every second with a tag, newest first."""
    run_limits.set_maximum(0, a.ADA)
    of = a.job()
    runs = [a.launched_run(of, tags={"team": "a"} if number % 2 else {}) for number in range(60)]
    return [run.pk for run in reversed(runs)]


WAYS = [Filter(), Filter("queued"), Filter(job="job"), Filter("queued", "job"), Filter("queued", tag="team=a")]


@pytest.mark.parametrize("wanted", WAYS)
def test_pages_follow_each_other_without_a_gap(sixty: list[int], wanted: Filter, monkeypatch):
    monkeypatch.setattr(filters, "PART", 7)
    monkeypatch.setattr(filters, "QUICK", 0)
    expected = sixty[::2] if wanted.tag else sixty
    seen: list[int] = []
    before = None
    while True:
        page = filters.find(wanted, before, most=13)
        assert page.total == (len(expected) if before is None else None)
        assert not page.more
        assert not page.stopped
        seen += [run.pk for run in page.runs]
        if page.following is None:
            break
        before = page.following
    assert seen == expected


@pytest.mark.parametrize("wanted", WAYS)
def test_more_than_a_number_are_not_counted(sixty: list[int], wanted: Filter, monkeypatch):
    monkeypatch.setattr(filters, "MOST_COUNTED", 20)
    page = filters.find(wanted, most=13)
    assert (page.total, page.more, page.is_capped) == (20, True, True)
    assert len(page.runs) == 13


def test_when_time_is_up_it_is_said_and_can_be_gone_on_with(sixty: list[int], monkeypatch):
    monkeypatch.setattr(filters, "PART", 10)
    monkeypatch.setattr(filters, "PATIENCE", 0)
    wanted, seen, before, pages = Filter("queued", tag="team=a"), [], None, 0
    while True:
        page = filters.find(wanted, before)
        pages += 1
        seen += [run.pk for run in page.runs]
        if page.following is None:
            break
        assert page.stopped
        assert page.more or before is not None
        before = page.following
    assert pages > 3
    assert seen == sixty[::2]


SLOW = {
    "postgresql": "(SELECT count(*) FROM pg_sleep(20))",
    "sqlite": "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000000)"
    " SELECT max(n) FROM c)",
}


def _takes_too_long(monkeypatch, below: int) -> None:
    """Whoever looks through runs below an id has to wait."""
    apply = Filter.apply

    def slow(self, runs, before=None):
        found = apply(self, runs, before)
        low = runs.query.where.children[0].rhs
        slowly = RawSQL(f"{SLOW[connection.vendor]} >= 0", [], output_field=BooleanField())
        return found.filter(slowly) if low < below else found

    monkeypatch.setattr(Filter, "apply", slow)
    monkeypatch.setattr(filters, "DATABASES_PATIENCE", 0.2)
    monkeypatch.setattr(filters, "PART", 20)


def test_the_database_stops_what_takes_too_long(sixty: list[int], monkeypatch):
    _takes_too_long(monkeypatch, below=sixty[0] + 1)
    page = filters.find(Filter("queued", tag="team=a"))
    assert page.struck
    assert page.stopped
    assert page.runs == []
    monkeypatch.undo()
    assert len(filters.find(Filter("queued", tag="team=a")).runs) == 30, "the next statement may take its time"


def test_what_was_found_before_the_database_stopped_is_kept(sixty: list[int], monkeypatch):
    _takes_too_long(monkeypatch, below=sixty[30])
    page = filters.find(Filter("queued", tag="team=a"))
    assert [run.pk for run in page.runs] == sixty[:20:2]
    assert (page.stopped, page.struck) == (True, False)
    assert page.following == sixty[19], "from there it can be gone on"


def test_any_other_error_of_the_database_is_what_it_was():
    with pytest.raises(OperationalError, match="disk"), claims.at_most(1):
        raise OperationalError("disk full")


def test_what_is_new_is_counted(sixty: list[int]):
    assert filters.newer(Filter(), sixty[0]) == 0
    assert filters.newer(Filter(), sixty[12]) == 12
    assert filters.newer(Filter("queued", tag="team=a"), sixty[12]) == 6
    assert filters.newer(Filter(), 0, most=20) == 21


# --- as it is written -------------------------------------------------------------------------------


def test_a_query_says_a_filter_and_back():
    since, until = datetime(2026, 11, 25, 10, 0, tzinfo=UTC), datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
    for wanted in (
        Filter(),
        Filter("failure", "copy", "team=a", "it broke", "24h"),
        Filter(since=since, until=until),
        Filter(until=until),
    ):
        assert filters.parse(wanted.query()) == (wanted, {})
    asked = {"from": "2026-11-25T11:00+01:00", "to": "2026-11-25T12:30"}
    assert filters.parse(asked) == (Filter(since=since, until=until), {})
    assert filters.parse({**asked, "when": ""}) == (Filter(), {}), "the fields are there, but not meant"
    assert filters.parse({**asked, "when": "1h"}) == (Filter(span="1h"), {})


@pytest.mark.parametrize(
    ("query", "field", "told"),
    [
        ({"state": "qeued"}, "state", "state: 'qeued' is not allowed: use queued, progress"),
        ({"when": "2h"}, "when", "when: '2h' is not allowed: use 1h, 24h, 7d"),
        ({"when": "range", "from": "yesterday"}, "from", "from: 'yesterday' is not allowed: use a date"),
        ({"to": "0001-01-01T00:00+14:00"}, "to", "to: "),
        ({"from": "2026-11-25", "to": "2026-11-24"}, "to", "use a time after that of from"),
        ({"q": "x" * 201}, "q", "q: it has 201 characters; 200 are allowed."),
        ({"tag": "x" * 900}, "tag", "tag: it has 900 characters; 701 are allowed."),
    ],
)
def test_what_is_wrong_is_said_by_field(query: dict[str, str], field: str, told: str):
    wanted, wrong = filters.parse({"job": "copy", **query})
    assert list(wrong) == [field]
    assert told in wrong[field]
    assert wanted.job == "copy"


def test_a_filter_that_finds_nothing_says_what_to_leave_out():
    ways = filters.wider(Filter("failure", tag="team=a", span="1h"))
    assert [(verb, what) for verb, what, _ in ways] == [("widen to", "24h"), ("clear", "failure"), ("clear", "team=a")]
    assert ways[0][2] == Filter("failure", tag="team=a", span="24h")
    assert ways[1][2] == Filter(tag="team=a", span="1h")
    assert [what for _, what, _ in filters.wider(Filter(span="7d"))] == ["the time"]


def test_all_that_match_by_text_and_time_are_canceled():
    run_limits.set_maximum(0, a.ADA)
    a.launched_run()
    a.let_pass(2 * 3600)
    late = a.launched_run()
    row = bulk_cancel.begin(Filter(span="1h"), "ada")
    assert (row.canceled, row.since is not None, row.until) == (1, True, None)
    assert bulk_cancel.begin(Filter(text=late.uid[:10]), "ada").canceled == 0
    assert bulk_cancel.begin(Filter(until=timezone.now() - timedelta(hours=1)), "ada").canceled == 1


def test_ids_that_were_removed_long_ago_are_not_looked_through(django_assert_max_num_queries):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence('runs_run', 'id'), 50000000)")
        else:
            a.launched_run().delete()
            cursor.execute("UPDATE sqlite_sequence SET seq = 50000000 WHERE name = 'runs_run'")
    runs = [a.launched_run(tags={"team": "core"}) for _ in range(3)]
    bounds = 3 if connection.vendor == "postgresql" else 0  # a transaction with a limit of its own
    with django_assert_max_num_queries(3 + bounds):
        shown = filters.find(Filter("progress", tag="team=core"))
    assert (shown.runs, shown.total, shown.following) == (runs[::-1], 3, None)
