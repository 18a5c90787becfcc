"""Samples: what the clock keeps of how limits stood, rolled up and removed; each step once, whoever writes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pools import claims, samples, sizing
from pools.models import Sample, Sampled, Wait
from pools.samples import Level, Span, histogram, store
from runs import recover, sampling, tickets
from runs.sampling import Sampler
from tests import builders as a

pytestmark = pytest.mark.usefixtures("engine")

T0 = 1_790_000_000 // 3600 * 3600  # the beginning of an hour


@pytest.fixture
def clock(monkeypatch):
    """The database's time, moved by hand."""
    time = {"now": T0}
    monkeypatch.setattr(claims, "clock_time", lambda: datetime.fromtimestamp(time["now"], UTC))
    return lambda seconds: time.update(now=T0 + seconds)


def waited(seconds: float, pool: str = "database", kind: str = "pool") -> None:
    Wait.objects.create(holder="op:1", token=1, at=datetime.now(UTC), kind=kind, label=pool, seconds=seconds)


def record(at: int, in_use: int = 0, limit: int | None = 5, waiting: int = 0, subject: str = "pool:database") -> bool:
    return samples.record(T0 + at, {subject: Level(in_use, limit, waiting)}, sampling.KINDS)


def rows(step: int, subject: str = "pool:database") -> list[tuple[int, int, int | None, int]]:
    found = Sample.objects.filter(step=step, subject=subject).order_by("at")
    return [(row.at - T0, row.in_use, row.limit, row.waiting) for row in found]


def waits(step: int, subject: str = "pool:database") -> list[int]:
    found = Sample.objects.filter(step=step, subject=subject).order_by("at").values_list("waits", flat=True)
    return [histogram.count(histogram.from_text(text)) for text in found]


# --- looking and recording --------------------------------------------------------------------------


def test_the_clock_keeps_the_most_that_was_in_use(clock):
    a.pool("database", 2)
    a.workers(3)
    sampler = Sampler()
    sampler.look()
    run = a.started_run(a.job(*(a.op(f"op_{n}", pool="database") for n in range(5))))
    clock(3)
    sampler.look()
    ops = a.in_state("admitted", run)
    for op in ops:
        a.carry_out(op)
    a.carry_out_all()
    clock(7)
    assert not sampler.look()
    clock(10)
    assert sampler.look()
    assert rows(10) == [(0, 2, 2, 0)]
    assert rows(10, "slots") == [(0, 2, 2, 0)]
    assert rows(10, "ops")[0][1:3] == (2, 3)
    assert rows(10, "runs") == [(0, 1, 10, 0)]


def test_lines_are_those_of_the_end(clock):
    a.pool("database", 1)
    a.workers(3)
    a.started_run(a.job(*(a.op(f"op_{n}", pool="database") for n in range(4))))
    a.queued_run()
    sampler = Sampler()
    sampler.look()
    clock(11)
    sampler.look()
    assert rows(10) == [(0, 1, 1, 3)]
    assert rows(10, "ops")[0][3] == 3
    assert rows(10, "runs")[0][3] == 1


def test_the_waits_are_those_that_ended_since_the_last_sample():
    waited(100)  # before there were samples
    assert record(0)
    waited(2)
    waited(2.1, "api")
    waited(7, kind="workers", pool="default")
    waited(7, kind="executor")
    levels = {subject: Level(0, None, 0) for subject in ("pool:database", "pool:api", "ops")}
    assert samples.record(T0 + 10, levels, sampling.KINDS)
    waited(3)
    waited(40)
    assert record(20)
    assert waits(10) == [0, 1, 2]
    assert waits(10, "pool:api") == waits(10, "ops") == [1]
    assert histogram.quantile(_merged(10), 1) == pytest.approx(40, rel=histogram.ERROR)


def _merged(step: int) -> dict[int, int]:
    texts = Sample.objects.filter(step=step, subject="pool:database").values_list("waits", flat=True)
    return histogram.merged(map(histogram.from_text, texts))


@pytest.mark.parametrize("seconds", [0.001, 0.0301, 0.5, 1.0, 1.0999, 7, 3600.5, 1e6])
def test_the_database_finds_the_same_bucket(seconds):
    record(0)
    waited(seconds)
    record(10)
    (found,) = _merged(10)
    assert abs(histogram.value(found) - seconds) <= seconds * (histogram.ERROR + 1e-6)


def test_a_step_is_written_once():
    assert record(0, in_use=1)
    assert not record(0, in_use=9)
    waited(2)
    assert record(10, in_use=2)
    assert not record(10, in_use=9)
    assert rows(10) == [(0, 1, 5, 0), (10, 2, 5, 0)]
    assert waits(10) == [0, 1]


def test_of_two_clocks_that_write_at_the_same_time_one_writes(monkeypatch):
    record(0)
    waited(2)
    real = store._write

    def overtaken(*args):
        monkeypatch.setattr(store, "_write", real)
        assert record(10, in_use=1)  # the other clock, between our look and our write
        return real(*args)

    monkeypatch.setattr(store, "_write", overtaken)
    assert not record(10, in_use=9)
    assert rows(10) == [(0, 0, 5, 0), (10, 1, 5, 0)]
    assert waits(10) == [0, 1]


def test_a_sample_takes_as_many_statements_however_many_ops_there_were(clock):
    def statements() -> int:
        clock(statements.at)
        statements.at += 10
        with CaptureQueriesContext(connection) as asked:
            assert sampler.look()
        return len(asked)

    statements.at = 20
    sampler = Sampler()
    sampler.look()
    clock(10)
    sampler.look()
    before = statements()
    a.pool("database", 1)
    for n in range(30):
        a.pool(f"pool_{n}", 1)
        waited(n + 1, f"pool_{n}")
    a.started_run(a.job(*(a.op(f"op_{n}", pool="database") for n in range(30))))
    assert statements() == before <= 16


def test_the_clock_samples(clock):
    a.pool("database", 1)
    found = recover.Clock()
    found.one_pass()
    clock(10)
    found.one_pass()
    assert rows(10) == [(0, 0, 1, 0)]


def test_a_sample_is_announced_once(clock, monkeypatch):
    told = []
    monkeypatch.setattr(tickets, "announce", told.append)
    sampler = Sampler()
    for seconds in (0, 5, 10, 15, 20):
        clock(seconds)
        sampler.look()
    assert told == [{"samples"}, {"samples"}]


def test_a_pool_that_is_gone_is_sampled_no_more(clock):
    a.pool("database", 1)
    sampler = Sampler()
    sampler.look()
    clock(10)
    sampler.look()
    sizing.delete("database", a.ADA)
    clock(20)
    sampler.look()
    assert [at for at, *_ in rows(10)] == [0]


# --- rolling up -------------------------------------------------------------------------------------


def test_a_minute_is_the_most_of_its_samples_and_all_of_their_waits():
    for n in range(6):
        waited(n + 1)
        record(n * 10, in_use=n % 4, limit=5 + n, waiting=9 - n)
    assert samples.roll_up() == 1
    assert rows(60) == [(0, 3, 10, 9)]
    assert waits(60) == [5]  # the first was there before the samples


def test_what_is_not_complete_is_not_rolled_up():
    for n in range(5):
        record(n * 10)
    assert samples.roll_up() == 0
    record(70)
    assert samples.roll_up() == 1
    assert rows(60) == [(0, 0, 5, 0)]


def test_it_is_rolled_up_once():
    for n in range(13):
        record(n * 10, in_use=n)
    assert samples.roll_up() == 2
    assert samples.roll_up() == 0
    assert rows(60) == [(0, 5, 5, 0), (60, 11, 5, 0)]


def test_an_hour_is_rolled_up_from_minutes():
    for n in range(0, 3600, 30):
        record(n, in_use=n // 100)
    record(3600 + 50)
    assert samples.roll_up() == 60 + 1 + 1
    assert rows(3600) == [(0, 35, 5, 0)]


def test_time_without_samples_is_passed_over():
    record(0, in_use=1)
    record(500_000, in_use=2)
    record(500_060)
    assert samples.roll_up() == 2 + 1
    assert [in_use for _, in_use, *_ in rows(60)] == [1, 2]


def test_it_goes_on_where_it_was_stopped():
    for n in range(25):
        record(n * 10)
    looks = iter([False, True, True, True])
    assert samples.roll_up(lambda: next(looks)) == 1
    assert len(rows(60)) == 1
    assert samples.roll_up() == 3
    assert len(rows(60)) == 4


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(12))
def test_a_kill_at_any_statement_loses_nothing_and_doubles_nothing(after):
    for n in range(6):
        record(n * 10, in_use=n)
    waited(5)
    left = [after]

    def kill(execute, sql, params, many, context):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return execute(sql, params, many, context)

    for verb in (lambda: record(60, in_use=6), samples.roll_up):
        try:
            with connection.execute_wrapper(kill):
                verb()
        except Killed:
            left[0] = -1
    record(60, in_use=6)
    samples.roll_up()
    assert rows(60) == [(0, 5, 5, 0)]
    assert [in_use for _, in_use, *_ in rows(10)] == [0, 1, 2, 3, 4, 5, 6]
    assert sum(waits(10)) == 1


# --- keeping ----------------------------------------------------------------------------------------


def test_each_resolution_is_kept_as_long_as_its_setting_says(clock, settings, monkeypatch):
    monkeypatch.setattr(store, "BATCH", 7)
    settings.KEEP_SAMPLES, settings.KEEP_MINUTES, settings.KEEP_HOURS = 0.01, 0.05, 100  # 864 s, 4320 s
    for n in range(0, 7300, 20):
        record(n)
    samples.roll_up()
    clock(7300)
    assert sampling.prune() > 0
    assert min(at for at, *_ in rows(10)) == 6440
    assert min(at for at, *_ in rows(60)) == 3000
    assert [at for at, *_ in rows(3600)] == [0, 3600]
    assert sampling.prune() == 0


def test_what_has_not_been_rolled_up_is_kept(clock, settings):
    settings.KEEP_SAMPLES = 0.001
    for n in range(0, 120, 10):
        record(n)
    clock(100_000)
    assert sampling.prune() == 0
    samples.roll_up()
    sampling.prune()
    assert rows(10) == []
    assert len(rows(60)) == 2


def test_nothing_is_removed_without_a_setting(clock, settings):
    settings.KEEP_SAMPLES = settings.KEEP_MINUTES = settings.KEEP_HOURS = 0
    record(0)
    record(200)
    samples.roll_up()
    clock(10_000_000)
    assert sampling.prune() == 0


def test_the_clock_prunes_samples(settings):
    settings.KEEP_SAMPLES = 0.01
    old = int((datetime.now(UTC) - timedelta(days=1)).timestamp()) // 3600 * 3600 - T0
    record(old)
    record(old + 100)
    samples.roll_up()
    recover.Clock().one_pass()
    assert [at for at, *_ in rows(10)] == [old + 100], "it has not been rolled up yet"


# --- reading ----------------------------------------------------------------------------------------


def test_a_long_span_ends_with_what_has_not_been_rolled_up_yet():
    for n in range(0, 3750, 10):
        record(n, in_use=n)
    samples.roll_up()
    found = samples.history(Span(T0, 3600, ("pool:database",)))
    assert [(row.step, row.at - T0) for row in found] == [
        (3600, 0), (60, 3600), (60, 3660), (10, 3720), (10, 3730), (10, 3740),
    ]  # fmt: skip
    assert [row.in_use for row in found[:2]] == [3590, 3650]


def test_a_young_deployment_has_a_history_at_every_resolution():
    record(0, in_use=3)
    for step in samples.STEPS:
        assert [row.in_use for row in samples.history(Span(T0 - 9999, step, ("pool:database",)))] == [3]
    assert Sampled.objects.count() == 1


def test_peaks_of_several_spans_are_read_at_once():
    for n in range(0, 120, 10):
        for subject in ("pool:a", "pool:b", "runs", "ops"):
            samples.record(T0 + n, {subject: Level(n, None, 1)}, {})
            Sampled.objects.update(upto=T0 + n)
    Sampled.objects.update(upto=T0 + 120)
    samples.roll_up()
    with CaptureQueriesContext(connection) as asked:
        found = samples.peaks((Span(T0, 60, ("pool:",)), 120), (Span(T0, 10, ("runs",)), 30))
    assert len(asked) == 1
    assert set(found) == {"pool:a", "pool:b", "runs"}
    assert [(peak.at - T0, peak.in_use, peak.limit, peak.waiting) for peak in found["pool:a"]] == [(0, 110, None, 1)]
    assert [peak.in_use for peak in found["runs"]] == [20, 50, 80, 110]
