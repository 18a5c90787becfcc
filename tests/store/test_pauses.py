"""Pauses that end by themselves: when they do, what stands in the ledger, and whose word counts in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from pools import claims, explain, pauses, sizing
from pools.models import Change, Pool
from pools.pauses import InvalidPause
from pools.sizing import Author, Conflict
from runs import ledger, recover
from tests.builders import ADA, job, launched_run, op, pool, state_of, workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def paused(seconds: float | None = 3600, why: str = "maintenance") -> Pool:
    """A pool that is paused, for so many seconds from now; None: until somebody resumes it."""
    workers(1)
    pool("db", 1)
    until = None if seconds is None else claims.clock_time() + timedelta(seconds=seconds)
    return sizing.pause("db", Author("ann", "page", why), until)


def due(seconds: float = 1) -> None:
    Pool.objects.update(paused_until=claims.clock_time() - timedelta(seconds=seconds))


def test_the_clock_ends_a_pause_whose_time_has_come():
    paused()
    run = launched_run(job(op("a", pool="db")))
    assert recover.Clock().one_pass().pauses == 0
    assert state_of(run, "a") == "ready"
    due()
    assert recover.Clock().one_pass().pauses == 1, "a clock that has just started, after a restart say, knows of it"
    assert state_of(run, "a") == "admitted"
    found = Pool.objects.get()
    assert (found.paused_at, found.paused_by, found.pause_reason, found.paused_until) == (None, "", "", None)
    line = Change.objects.latest("id")
    assert (line.who, line.door, line.before, line.after) == ("clock", "engine", "yes", "no")
    assert line.why == "the end of the pause had come"
    assert recover.Clock().one_pass().pauses == 0


def test_who_resumes_or_pauses_by_hand_has_the_last_word():
    paused()
    sizing.resume("db", ADA)
    assert pauses.end_due() == 0
    paused(None)
    assert pauses.end_due() == 0, "the new pause has no end"
    assert Pool.objects.get().paused_at is not None


def test_a_pause_that_was_begun_anew_while_the_clock_looked_stands(monkeypatch):
    paused()
    due()
    desk = claims.desk

    def too_late():
        monkeypatch.setattr(claims, "desk", desk)
        sizing.resume("db", ADA)
        sizing.pause("db", ADA, claims.clock_time() + timedelta(hours=1))
        return desk()

    monkeypatch.setattr(claims, "desk", too_late)
    assert pauses.end_due() == 0
    assert Pool.objects.get().paused_by == ADA.who


def test_whoever_waits_is_told_until_when():
    until = paused().paused_until
    run = launched_run(job(op("a", pool="db")))
    told = explain.of(f"op:{run.op_set.get().pk}")
    assert told is not None
    assert until is not None
    (check,) = told.blocking
    assert check.reason == f"is paused by ann until {until:%H:%M} UTC: maintenance"


def test_a_pause_without_an_end_says_so_too():
    paused(None, why="")
    run = launched_run(job(op("a", pool="db")))
    told = explain.of(f"op:{run.op_set.get().pk}")
    assert told is not None
    assert told.blocking[0].reason == "is paused by ann"


def test_undoing_a_resume_gives_the_pause_its_end_back_unless_it_has_gone_by():
    until = paused().paused_until
    sizing.resume("db", ADA)
    ledger.revert(Change.objects.latest("id").pk, ADA)
    assert Pool.objects.get().paused_until == until
    due()
    pauses.end_due()
    ledger.revert(Change.objects.latest("id").pk, ADA)
    found = Pool.objects.get()
    assert (found.paused_at is not None, found.paused_until) == (True, None)


def test_undoing_a_deletion_gives_it_back_as_well():
    until = paused().paused_until
    sizing.delete("db", ADA)
    ledger.revert(Change.objects.latest("id").pk, ADA)
    assert Pool.objects.get(name="db").paused_until == until


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", None),
        ("30m", NOON + timedelta(minutes=30)),
        ("2h", NOON + timedelta(hours=2)),
        ("1 d", NOON + timedelta(days=1)),
        ("14:30", NOON.replace(hour=14, minute=30)),
        ("9:05", NOON.replace(hour=9, minute=5) + timedelta(days=1)),
        ("2026-11-26T08:00:00+01:00", NOON.replace(day=26, hour=7)),
    ],
)
def test_an_end_is_a_span_a_time_of_day_or_a_moment(text, end):
    assert pauses.end_of(text, NOON) == end


@pytest.mark.parametrize("text", ["soon", "0m", "25:00", "2026-11-24T08:00:00Z", "2026-11-26T08:00:00", "999d", "-5m"])
def test_any_other_end_is_refused_by_its_name(text):
    with pytest.raises(InvalidPause, match=r"^until: '.*' is not allowed: use "):
        pauses.end_of(text, NOON)


def test_the_command_takes_an_end():
    workers(1)
    pool("db", 1)
    out = StringIO()
    call_command("concurrency", "pause", "db", "--until", "2h", "--why", "maintenance", stdout=out)
    until = Pool.objects.get().paused_until
    assert until is not None
    assert out.getvalue().endswith(f"until {until:%H:%M} UTC.\n")
    out = StringIO()
    call_command("concurrency", "get", "db", stdout=out)
    assert f"until {until:%H:%M} UTC: maintenance" in out.getvalue()
    with pytest.raises(CommandError, match="--until: 'soon' is not allowed"):
        call_command("concurrency", "pause", "db", "--until", "soon")


def test_the_reason_and_the_end_of_a_pause_are_changed_and_that_is_undone():
    until = paused().paused_until
    began = Pool.objects.get().paused_at
    pauses.change("db", Author("bob", "page", "it takes longer"))
    found = Pool.objects.get()
    assert (found.paused_at, found.paused_by) == (began, "bob")
    assert (found.pause_reason, found.paused_until) == ("it takes longer", None)
    written = Change.objects.count()
    pauses.change("db", Author("bob", "page", "it takes longer"))
    assert Change.objects.count() == written, "nothing was changed"
    ledger.revert(Change.objects.latest("id").pk, Author("ada", "page"))
    found = Pool.objects.get()
    assert found.paused_until == until
    assert "maintenance" in found.pause_reason
    assert Change.objects.latest("id").reverts is not None


def test_a_pause_is_changed_only_as_it_was_seen():
    seen = pauses.mark(paused())
    pauses.change("db", Author("bob", "page", "it takes longer"), seen=seen)
    with pytest.raises(Conflict, match="it is paused now"):
        pauses.change("db", Author("cid", "page", "no"), seen=seen)
    sizing.resume("db", ADA)
    with pytest.raises(Conflict, match="it is open now"):
        pauses.change("db", ADA)
    assert pauses.mark(Pool.objects.get()) == ""


def test_the_command_changes_a_pause_if_it_is_told_to():
    paused()
    refused = r"^db is paused already by ann until ..:.. UTC: maintenance. With --change it gets this reason and end.$"
    with pytest.raises(CommandError, match=refused):
        call_command("concurrency", "pause", "db", "--why", "mine")
    call_command("concurrency", "pause", "db", "--why", "mine", "--change", stdout=StringIO())
    assert Pool.objects.get().pause_reason == "mine"
    sizing.resume("db", ADA)
    call_command("concurrency", "pause", "db", "--change", stdout=StringIO())
    assert Pool.objects.get().paused_at is not None
