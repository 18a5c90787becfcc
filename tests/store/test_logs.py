"""What an op says while it runs is kept, with time, level, op and attempt, and readable before it ends."""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import pytest

from runs import catalog, launch, logs, states, transitions
from runs.models import LogLine, Op, OpEvent
from tests.builders import admitted_op, in_state, job, launched_run, op, perform, start, started_run, the_op, workers
from tests.processes import in_a_process
from tests.servers import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


@pytest.fixture
def said():
    """What the ops of the job "talk" said, by step key: (level, text) each."""
    workers(2)
    run = launched_run(launch.find_job(catalog.current(), "talk"))
    for op_row in in_state(states.ADMITTED):
        in_a_process(partial(perform, op_row.pk, op_row.token))
    found: dict[str, list] = {}
    for key, level, text in LogLine.objects.order_by("id").values_list("op__key", "level", "text"):
        found.setdefault(key, []).append((level, text))
    assert run.state == "started"
    return found


def test_whatever_an_op_says_is_kept_with_its_level(said):
    assert set(said["speaks"]) == {
        ("DEBUG", "by the context"),
        ("WARNING", "two"),
        ("WARNING", "lines"),
        ("INFO", "by logging"),
        ("STDOUT", "by print"),
        ("STDERR", "to stderr"),
        ("STDOUT", "by the descriptor"),
        ("STDOUT", "by a child"),
        ("STDOUT", "no end of line"),
    }
    assert len(said["speaks"]) == 9


def test_lines_of_one_stream_keep_their_order(said):
    numbered = [text for _, text in said["says_much"] if text.startswith("line ")]
    assert numbered == [f"line {n}" for n in range(1_000)]


def test_what_no_database_would_take_is_cut_or_replaced(said):
    texts = [text for _, text in said["says_much"]]
    assert texts[0] == "x" * logs.LONGEST_LINE + f"… ({9_000 - logs.LONGEST_LINE} more characters)"
    assert "nul � byte" in texts
    assert "not utf-8 �" in texts


@pytest.fixture
def attempt():
    """A third attempt of an op, which runs."""
    started = start(admitted_op())
    Op.objects.filter(pk=started.op_id).update(attempt=3)
    return replace(started, number=3)


def test_a_line_knows_its_run_op_attempt_and_time(attempt):
    with logs.capture(attempt) as logger:
        logger.info("hello")
    line = LogLine.objects.get()
    assert (line.run_id, line.op_id, line.attempt, line.level, line.text) == (
        attempt.run_id, attempt.op_id, 3, "INFO", "hello",
    )  # fmt: skip
    assert line.at is not None


def test_lines_can_be_read_while_the_op_runs(attempt):
    def runs_until_it_is_read():
        with logs.capture(attempt) as logger:
            logger.info("first")
            print("second")
            wait_for(lambda: LogLine.objects.count() == 2, "lines are not written while the op runs")

    in_a_process(runs_until_it_is_read)


def test_other_threads_of_the_op_are_heard(attempt):
    with logs.capture(attempt) as logger:
        threads = [threading.Thread(target=logger.info, args=(f"from {n}",)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(LogLine.objects.values_list("text", flat=True)) == [f"from {n}" for n in range(5)]


def test_more_than_may_wait_unwritten_is_written_all_the_same(attempt, monkeypatch):
    monkeypatch.setattr(logs, "MOST_WAITING", 20)
    with logs.capture(attempt) as logger:
        for n in range(60):
            logger.info("line %d", n)
    texts = list(LogLine.objects.order_by("id").values_list("text", flat=True))
    assert texts == [f"line {n}" for n in range(60)]


def test_text_that_no_database_keeps_is_written_with_the_rest(attempt):
    """A file name that is not UTF-8, as Python reads it, has half a surrogate pair in it."""
    with logs.capture(attempt) as logger:
        logger.info("before")
        logger.info("read %s", os.fsdecode(b"caf\xe9.csv"))
        logger.info("after")
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == ["before", "read caf�.csv", "after"]


def test_lines_that_can_not_be_written_cost_nobody_else_theirs(attempt, monkeypatch):
    monkeypatch.setattr(logs, "MOST_WAITING", 5)
    real, refused = transitions.keep_log, threading.Event()

    def refuses_the_first(*what):
        if not refused.is_set():
            refused.set()
            raise ValueError("these not")
        return real(*what)

    monkeypatch.setattr(transitions, "keep_log", refuses_the_first)

    def says_more_than_may_wait():
        with logs.capture(attempt) as logger:
            logger.info("refused")
            assert refused.wait(10)
            for n in range(20):
                logger.info("line %d", n)

    in_a_process(says_more_than_may_wait)
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == [f"line {n}" for n in range(20)]


def test_a_record_that_can_not_be_formatted_is_reported_and_raises_nothing(attempt):
    def has_a_typo():
        with logs.capture(attempt) as logger:
            logger.warning("%d rows", "three")
            logger.info("goes on")

    in_a_process(has_a_typo)
    texts = list(LogLine.objects.values_list("text", flat=True))
    assert "goes on" in texts
    assert "--- Logging error ---" in texts


def test_a_process_that_the_op_forked_is_heard(attempt, monkeypatch):
    monkeypatch.setattr(logs, "MOST_WAITING", 20)

    def forks():
        with logs.capture(attempt):
            child = get_context("fork").Process(target=says_it)
            child.start()
            child.join(20)
            assert child.exitcode == 0

    def says_it():
        for n in range(60):
            logging.getLogger("child").warning("line %d", n)

    in_a_process(forks)
    texts = list(LogLine.objects.order_by("id").values_list("text", flat=True))
    assert texts == [f"line {n}" for n in range(60)]


def test_afterwards_everything_is_as_it_was(attempt):
    def as_it_is():
        return list(logging.getLogger().handlers), logging.getLogger("op").level, len(os.listdir("/proc/self/fd"))

    def says_something(what):
        with logs.capture(attempt):
            print(what)

    def says_something_twice_and_looks():
        says_something("first")  # connections are open now
        before = as_it_is()
        says_something("second")
        assert as_it_is() == before
        assert threading.active_count() == 1
        print("outside")

    in_a_process(says_something_twice_and_looks)
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == ["first", "second"]


def test_an_op_that_closed_its_stdout_ends_all_the_same(attempt):
    def closes_it():
        with logs.capture(attempt):
            print("before")
            os.close(1)

    in_a_process(closes_it)
    assert LogLine.objects.get().text == "before"


def test_an_op_that_says_nothing_writes_nothing(attempt):
    with logs.capture(attempt):
        pass
    assert not LogLine.objects.exists()


def test_an_exception_in_the_op_loses_no_line(attempt):
    def breaks():
        with pytest.raises(RuntimeError), logs.capture(attempt) as logger:
            logger.info("before")
            print("and this", file=sys.stderr)
            raise RuntimeError

    in_a_process(breaks)
    assert set(LogLine.objects.values_list("text", flat=True)) == {"before", "and this"}


def test_a_traceback_is_one_line_each_and_begins_in_the_ops_code(attempt):
    def broken():
        raise ValueError("no")

    with logs.capture(attempt) as logger:
        try:
            broken()
        except ValueError as error:
            logs.say_traceback(logger, error, __file__)
    texts = list(LogLine.objects.order_by("id").values_list("text", flat=True))
    assert texts[0] == "The attempt failed."
    assert texts[-1] == "ValueError: no"
    assert {line.level for line in LogLine.objects.all()} == {"ERROR"}


def test_what_a_fenced_attempt_says_is_refused_and_that_it_spoke_is_recorded_once(attempt):
    assert transitions.op_died(attempt.op_id, attempt.token, "its lease ran out")
    with logs.capture(attempt) as logger:
        logger.info("late")
        wait_for(lambda: OpEvent.objects.filter(kind="late").exists(), "nobody noticed")
        logger.info("later")
    assert not LogLine.objects.exists()
    assert OpEvent.objects.get(kind="late").text == "what it logged came too late"


def test_the_lines_of_two_ops_do_not_mix():
    workers(2)
    run = started_run(job(op("a"), op("b")))
    for key in "ab":
        with logs.capture(start(the_op(run, key))) as logger:
            logger.info("I am %s", key)
    assert list(LogLine.objects.order_by("id").values_list("op__key", "text")) == [("a", "I am a"), ("b", "I am b")]
