"""A log is read by pages, by op, level and text; a page reads about as few rows of a long log as of a short one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.utils import timezone

from runs import log_lines
from runs.log_lines import LOOKS, PAGE, LogFilter
from runs.models import LogLine, Op, Run
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


@pytest.fixture
def run() -> Run:
    """A run with ops `a` and `b`."""
    return a.started_run(a.job(a.op("a"), a.op("b")))


def say(op_row: Op, *texts: str, level: str = "INFO") -> list[int]:
    """An op says these lines; returns their ids."""
    now = timezone.now()
    lines = [
        LogLine.objects.create(run_id=op_row.run_id, op=op_row, attempt=1, at=now, level=level, text=text)
        for text in texts
    ]
    return [line.pk for line in lines]


def long_log(run: Run, count: int) -> None:
    """So many lines, by `a` and `b` in turn; each thousandth is an error, the first says `needle`."""
    ops = [a.the_op(run, key).pk for key in "ab"]
    numbers = (
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
        " INSERT INTO runs_logline (run_id, op_id, attempt, at, level, text)"
        " SELECT %s, CASE n %% 2 WHEN 0 THEN %s ELSE %s END, 1, %s,"
        " CASE n %% 1000 WHEN 0 THEN 'ERROR' ELSE 'INFO' END,"
        " CASE n WHEN 0 THEN 'the needle' ELSE 'line ' || n END FROM numbers"
    )
    with connection.cursor() as cursor:
        cursor.execute(numbers, [count - 1, run.pk, *ops, timezone.now()])
        cursor.execute("ANALYZE runs_logline")


def texts(page: log_lines.Page) -> list[str]:
    return [line.text for line in page.lines]


def test_the_newest_lines_come_first_and_older_ones_follow(run):
    say(a.the_op(run, "a"), *(f"line {n}" for n in range(PAGE + 20)))
    wanted = LogFilter(run.pk)
    page = log_lines.older(wanted)
    assert texts(page) == [f"line {n}" for n in range(20, PAGE + 20)]
    assert page.after is None
    page = log_lines.older(wanted, page.before)
    assert texts(page) == [f"line {n}" for n in range(20)]
    assert page.before is None
    page = log_lines.newer(wanted, page.after)
    assert texts(page) == [f"line {n}" for n in range(20, PAGE + 20)]
    assert page.after is None
    page = log_lines.newer(wanted)
    assert (texts(page)[0], page.before) == ("line 0", None)
    assert texts(log_lines.newer(wanted, page.after)) == [f"line {n}" for n in range(PAGE, PAGE + 20)]


def test_lines_are_chosen_by_op_level_and_text(run):
    first, second = a.the_op(run, "a"), a.the_op(run, "b")
    say(first, "Loads orders", "50% of orders")
    say(first, "orders are late", level="WARNING")
    say(second, "orders are gone", level="ERROR")
    say(second, "printed", level="STDOUT")
    say(a.the_op(a.started_run(a.job(a.op("a"), name="other"))), "orders elsewhere", level="ERROR")

    def found(**wanted) -> list[str]:
        return texts(log_lines.older(LogFilter(run.pk, **wanted)))

    assert len(found()) == 5
    assert found(op_id=first.pk) == ["Loads orders", "50% of orders", "orders are late"]
    assert found(level="warning") == ["orders are late", "orders are gone"]
    assert found(level="error") == ["orders are gone"]
    assert found(level="printed") == ["printed"]
    assert found(text="ORDERS", op_id=second.pk) == ["orders are gone"]
    assert found(text="50%") == ["50% of orders"]
    assert found(level="warning", op_id=first.pk) == ["orders are late"]
    assert found(level="error", op_id=first.pk) == []


def test_a_line_is_shown_among_its_neighbours_whether_or_not_it_matches(run):
    ids = say(a.the_op(run, "a"), *(f"line {n}" for n in range(3 * PAGE)))
    page = log_lines.around(LogFilter(run.pk), log_lines.find(run, ids[PAGE]))
    assert len(page.lines) == PAGE
    assert page.lines[PAGE // 2].pk == ids[PAGE]
    assert texts(log_lines.older(LogFilter(run.pk), page.before))[-1] == f"line {PAGE // 2 - 1}"
    assert texts(log_lines.newer(LogFilter(run.pk), page.after))[0] == f"line {PAGE // 2 + PAGE}"
    page = log_lines.around(LogFilter(run.pk, text="line 7"), log_lines.find(run, ids[5]))
    assert texts(page)[:3] == ["line 5", "line 7", "line 70"]
    elsewhere = a.started_run(a.job(a.op("c"), name="other"))
    assert log_lines.find(elsewhere, ids[5]) is None


def test_what_is_new_is_told_once_also_what_was_committed_late(run):
    op_row = a.the_op(run, "a")
    ids = say(op_row, "1", "2", "3", "4")
    late = LogLine.objects.get(pk=ids[2])
    LogLine.objects.filter(pk=late.pk).delete()  # its id was given out; it is not committed yet
    wanted = LogFilter(run.pk)
    assert texts(log_lines.fresh(wanted, settled=ids[0], last=ids[1], seen=1)) == ["4"]
    assert texts(log_lines.fresh(wanted, settled=ids[0], last=ids[3], seen=2)) == []
    late.save(force_insert=True)
    assert texts(log_lines.fresh(wanted, settled=ids[0], last=ids[3], seen=2)) == ["2", "3", "4"]
    assert texts(log_lines.fresh(wanted, settled=ids[0], last=ids[3], seen=3)) == []


def test_of_very_many_new_lines_the_newest_are_told(run):
    first = say(a.the_op(run, "a"), *(f"line {n}" for n in range(PAGE + 5)))[0]
    page = log_lines.fresh(LogFilter(run.pk), settled=first, last=first, seen=0)
    assert texts(page) == [f"line {n}" for n in range(5, PAGE + 5)]
    assert page.before == page.lines[0].pk
    assert log_lines.fresh(LogFilter(run.pk), settled=page.lines[3].pk, last=page.lines[3].pk, seen=0).before is None


def test_a_download_has_every_line_that_matches(run, monkeypatch):
    monkeypatch.setattr(log_lines, "AT_ONCE", 7)
    say(a.the_op(run, "a"), *(f"line {n}" for n in range(30)))
    say(a.the_op(run, "b"), "other")

    def all_of(**wanted) -> list[str]:
        return [line.text for part in log_lines.everything(LogFilter(run.pk, **wanted)) for line in part]

    assert all_of() == [*(f"line {n}" for n in range(30)), "other"]
    assert all_of(text="line 1") == ["line 1", *(f"line {n}" for n in range(10, 20))]
    assert all_of(text="nothing") == []
    assert all_of(op_id=a.the_op(run, "b").pk) == ["other"]


def test_a_search_stops_after_so_many_lines_and_goes_on_from_there(run):
    long_log(run, LOOKS + 1_000)
    wanted = LogFilter(run.pk, text="NEEDLE")
    page = log_lines.older(wanted)
    assert (texts(page), page.looked_until is not None) == ([], True)
    page = log_lines.older(wanted, page.before)
    assert (texts(page), page.looked_until) == (["the needle"], None)


# --- how much is read -------------------------------------------------------------------------------


@contextmanager
def rows_read() -> Iterator[Callable[[], int]]:
    """How many rows the statements inside read: on PostgreSQL as it counts them, on SQLite as steps of its machine."""
    if connection.vendor == "sqlite":
        steps = [0]

        def step() -> None:
            steps[0] += 1

        connection.ensure_connection()
        connection.connection.set_progress_handler(step, 10)
        yield lambda: steps[0]
        connection.connection.set_progress_handler(None, 10)
        return
    explained = _Explained()
    with connection.execute_wrapper(explained):
        yield lambda: explained.rows


class _Explained:
    """Runs each statement and counts the rows that its plan has read."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith("SELECT"):
            with connection.connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params)
                plan = cursor.fetchone()[0]
            self.rows += _rows((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
        return execute(sql, params, many, context)


def _rows(node: dict) -> int:
    if "Plans" in node:
        return sum(_rows(child) for child in node["Plans"])
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


READS: dict[str, Callable[[Run, int], object]] = {
    "the newest": lambda run, middle: log_lines.older(LogFilter(run.pk)),
    "of an op": lambda run, middle: log_lines.older(LogFilter(run.pk, a.the_op(run, "b").pk)),
    "warnings": lambda run, middle: log_lines.older(LogFilter(run.pk, level="warning")),
    "errors": lambda run, middle: log_lines.older(LogFilter(run.pk, level="error")),
    "info": lambda run, middle: log_lines.older(LogFilter(run.pk, level="info")),
    "older": lambda run, middle: log_lines.older(LogFilter(run.pk), middle),
    "newer": lambda run, middle: log_lines.newer(LogFilter(run.pk), middle),
    "around": lambda run, middle: log_lines.around(LogFilter(run.pk), log_lines.find(run, middle)),
    "a text": lambda run, middle: log_lines.older(LogFilter(run.pk, text="needle")),
    "a text, backwards": lambda run, middle: log_lines.newer(LogFilter(run.pk, text="nothing")),
    "what is new": lambda run, middle: log_lines.fresh(LogFilter(run.pk), middle, middle, 0),
    "the last id": lambda run, middle: log_lines.last_id(run.pk),
}


def test_a_long_log_costs_no_more_than_a_short_one(run, monkeypatch):
    """Each read takes of a log eight times as long about what it takes of the short one."""
    monkeypatch.setattr(log_lines, "LOOKS", 2_000)

    def cost(count: int) -> dict[str, int]:
        fresh_run = a.started_run(a.job(a.op("a"), a.op("b"), name=f"of_{count}"))
        long_log(fresh_run, count)
        for n in range(3):
            long_log(a.started_run(a.job(a.op("a"), a.op("b"), name=f"other_{n}_{count}")), 5_000)
        ids = LogLine.objects.filter(run=fresh_run).order_by("id")
        middle = (ids.first().pk + ids.last().pk) // 2
        found = {}
        for name, read in READS.items():
            with rows_read() as rows:
                read(fresh_run, middle)
                found[name] = rows()
        return found

    short, long = cost(5_000), cost(40_000)
    assert {name: (short[name], count) for name, count in long.items() if count > 1.5 * short[name] + PAGE} == {}
    if connection.vendor == "postgresql":
        assert {name: count for name, count in long.items() if count > 2 * log_lines.LOOKS + 3 * PAGE} == {}
