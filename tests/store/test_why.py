"""`manage.py why` and what the pages show: every limit, its holders, the place in line, and the wait so far."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from pools import sizing
from runs import run_limits, why
from tests.builders import (
    ADA,
    job,
    launched_run,
    op,
    pool,
    queued_run,
    start,
    the_op,
    workers,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("checked")]


def told(*arguments: str) -> Any:
    out = StringIO()
    call_command("why", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("why", *arguments, stdout=out)
    return out.getvalue()


def at_a_pool_of_one():
    """One op holds the only slot, three wait for it; the last has the highest priority."""
    workers(2)
    pool("db", 1)
    of = job(op("a", pool="db"))
    holder = launched_run(of)
    start(the_op(holder))
    return holder, launched_run(of), launched_run(of), launched_run(of, priority=5)


def test_every_limit_is_listed_with_its_holders_and_who_is_ahead():
    holder, first, second, urgent = at_a_pool_of_one()
    found = told(second.uid, "a")
    shown = [[limit[name] for name in ("label", "need", "in_use", "limit", "room")] for limit in found["limits"]]
    assert shown == [
        ["db", 1, 1, 1, False],
        ["default", 1, 1, 2, True],
    ]
    assert [by["who"] for by in found["limits"][0]["held_by"]] == [f"{holder.short}/a"]
    assert [by["who"] for by in found["ahead"]] == [f"{urgent.short}/a", f"{first.short}/a"]
    assert (found["line"], found["place"], found["waits"]) == ("pool db", 3, True)


def test_the_same_in_words():
    holder, _, second, urgent = at_a_pool_of_one()
    text = said(second.short, "a")
    assert "3rd in line at pool db" in text
    assert f"pool db is held by {holder.short}/a" in text
    assert f"ahead of it: {urgent.short}/a (priority 5)" in text


def test_a_queued_run_is_explained_likewise():
    run = queued_run()
    found = told(run.uid)
    assert [(limit["gate"], limit["room"]) for limit in found["limits"]] == [("runs", False)]
    assert found["place"] == 1


def test_a_run_without_prospect_says_what_is_taken():
    sizing.set_check_at_queue(True, ADA)
    workers(1)
    pool("db", 1)
    launched_run(job(op("a", pool="db"), op("b", pool="db")))
    run = launched_run(job(op("c", pool="db")))
    found = told(run.uid)
    assert found["without_prospect"]
    assert found["prospects"] == [
        [{"label": "db", "in_use": 1, "limit": 1, "waited_for": 1, "buffer": 0, "room": False}]
    ]
    assert "1 slots are waited for" in said(run.uid)


def test_when_the_wait_is_over_it_is_told_what_it_was_spent_on():
    run = queued_run()
    assert told(run.uid)["waits"]
    run_limits.set_maximum(5, ADA)
    found = told(run.uid)
    assert not found["waits"]
    assert [entry["for"] for entry in found["waited"]] in ([], ["the run queue"])  # a wait of less than 1 ms is none
    assert "does not wait: it is started" in said(run.uid)


def test_a_pending_op_names_what_it_comes_after():
    run = launched_run(job(op("a"), op("b", after="a")))
    assert "it comes after a" in said(run.uid, "b")


def test_an_op_that_is_not_there_is_one_line():
    run = launched_run()
    with pytest.raises(CommandError, match="has no op 'x'; it has: only"):
        said(run.uid, "x")
    with pytest.raises(CommandError, match="no run"):
        said("ffff")


def test_what_would_start_it_sooner_is_told_with_its_effect():
    holder, _, second, urgent = at_a_pool_of_one()
    text = said(second.short, "a")
    assert "limit of pool db 1 -> 3: then waits for queue default" in text
    assert "priority of the run 0 -> 6: moves from 3rd to 1st in line" in text
    assert f"the end of {holder.short}/a: moves from 3rd to 2nd in line" in text
    found = told(urgent.uid, "a")["options"]
    assert [(option["do"], option["to"], option["effect"]) for option in found] == [
        ("raise", 2, "Starts now"),
        ("end", None, "It is next in line for what becomes free"),
    ]
    sizing.set_limit("db", 2, ADA)
    assert not told(urgent.uid, "a")["waits"], "it was true"


def test_runs_ahead_may_ask_for_more_than_can_be_known():
    sizing.set_check_at_queue(True, ADA)
    workers(1)
    pool("db", 1)
    run_limits.set_maximum(1, ADA)
    start(the_op(launched_run(job(op("a", pool="db")))))
    waiting = [launched_run(job(op("c"))), launched_run(job(op("d", pool="db")))]
    found = {option["do"]: option for option in told(waiting[0].uid)["options"]}
    assert (found["raise"]["to"], found["raise"]["effect"]) == (2, "Starts now")
    found = {option["do"]: option for option in told(waiting[1].uid)["options"]}
    assert found["raise"]["starts"] is not True, "what the run before it asks for is not known"


def test_the_limit_of_a_pool_that_the_first_ops_need_is_worked_out():
    sizing.set_check_at_queue(True, ADA)
    workers(3)
    pool("db", 1)
    launched_run(job(op("a", pool="db"), op("b", pool="db")))
    run = launched_run(job(op("c", pool="db")))
    (option,) = [option for option in told(run.uid)["options"] if option["do"] == "raise"]
    assert (option["gate"], option["to"], option["effect"]) == ("pool:db", 3, "Starts now, after 1 before it")
    sizing.set_limit("db", 3, ADA)
    assert not told(run.uid)["waits"]


PLACES = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 21: "21st", 113: "113th"}


@pytest.mark.parametrize(("place", "shown"), [*PLACES.items(), (1001, "beyond the 1 000th"), (None, "")])
def test_a_place_in_words(place, shown):
    assert why.Why(None, None, place, (), {}, ()).place_shown == shown  # type: ignore[arg-type]
