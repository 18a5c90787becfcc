"""Pausing a pool, with a reason and an end."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client

from pools import claims, pauses
from pools.models import Change, Pool
from pools.sizing import Author
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_pause_takes_a_reason_and_an_end_and_says_both(operator: Client) -> None:
    a.pool("db", 1)
    text = operator.get("/pools/db/").content.decode()
    assert 'name="for"' in text
    assert 'name="until"' in text
    response = operator.post("/pools/db/pause/", {"why": "maintenance", "for": "2h", "until": ""}, follow=True)
    found = Pool.objects.get()
    assert found.paused_at is not None
    assert found.paused_until is not None
    assert (found.paused_until - found.paused_at).total_seconds() == pytest.approx(7200, abs=5)
    assert f"db is paused until {found.paused_until:%H:%M} UTC: nobody new starts." in response.content.decode()
    for where in ("/pools/db/", "/"):
        text = operator.get(where).content.decode()
        assert f'until <time class="tn" datetime="{found.paused_until.isoformat()}"' in text
        assert "maintenance" in text
        assert "/pools/db/resume/" in text, "one click resumes it"


def test_a_time_of_day_comes_before_a_span(operator: Client) -> None:
    a.pool("db", 1)
    operator.post("/pools/db/pause/", {"for": "2h", "until": "23:59"})
    until = Pool.objects.get().paused_until
    assert until is not None
    assert (until.hour, until.minute) == (23, 59)


def test_an_end_that_is_none_is_refused(operator: Client) -> None:
    a.pool("db", 1)
    response = operator.post("/pools/db/pause/", {"for": "a while"})
    assert response.status_code == 422
    assert "for: &#x27;a while&#x27; is not allowed: use a span such as 30m" in response.content.decode()
    assert Pool.objects.get().paused_at is None


HTMX = {"HTTP_HX_REQUEST": "true"}
PAUSE, CHANGE = "/pools/db/pause/", "/pools/db/pause/change/"


@pytest.fixture
def paused(operator: Client) -> Pool:
    """A pool that somebody else has paused."""
    a.pool("db", 1)
    a.pool("other", 1)
    return a.sizing.pause("db", Author("bob", "page", "the vendor is down"))


def mark(html: str) -> str:
    found = re.search(r'name="pause" value="(\w+)"', html)
    assert found
    return found[1]


@pytest.mark.parametrize("how", [HTMX, {}], ids=["htmx", "without"])
def test_a_pool_that_is_paused_already_says_by_whom_and_why_and_offers_to_change_it(operator, paused, how) -> None:
    response = operator.post(PAUSE, {"why": "maintenance", "for": "4h"}, **how)
    text = response.content.decode()
    assert response.status_code == 409
    assert "db is paused already" in text
    assert "Paused by bob" in text
    assert "“the vendor is down”" in text
    assert 'value="maintenance"' in text, "what was asked for is not lost"
    asked = re.search(r'<option value="([^"]+)" selected>at', text)
    assert asked
    assert Pool.objects.get(name="db").pause_reason == "the vendor is down"
    operator.post(CHANGE, {"why": "maintenance", "for": asked[1], "pause": mark(text)}, **how)
    found = Pool.objects.get(name="db")
    assert (found.paused_at, found.paused_by, found.pause_reason) == (paused.paused_at, "ann", "maintenance")
    assert found.paused_until == datetime.fromisoformat(asked[1])
    line = Change.objects.latest("id")
    assert (line.who, line.before, line.after, line.detail["reason"]) == ("ann", "yes", "yes", "the vendor is down")
    assert "pause changed" in operator.get("/changes/").content.decode()


def test_the_page_of_a_paused_pool_changes_its_pause(operator: Client, paused: Pool) -> None:
    text = operator.get("/pools/db/").content.decode()
    assert 'value="the vendor is down"' in text
    a.pool("db", 2)  # another value than the pause
    response = operator.post(CHANGE, {"why": "still down", "pause": mark(text)}, **HTMX)
    assert response.status_code == 200
    assert "db stays paused." in response.content.decode()
    assert Pool.objects.get(name="db").pause_reason == "still down"


def test_a_pause_that_was_changed_meanwhile_is_not_overwritten(operator: Client, paused: Pool) -> None:
    seen = mark(operator.get("/pools/db/").content.decode())
    pauses.change("db", Author("cid", "page", "it is the network"))
    response = operator.post(CHANGE, {"why": "mine", "pause": seen}, **HTMX)
    text = response.content.decode()
    assert response.status_code == 409
    assert "The pause of db was changed since you looked" in text
    assert "Paused by cid" in text
    assert Pool.objects.get(name="db").pause_reason == "it is the network"
    a.sizing.resume("db", a.ADA)
    response = operator.post(CHANGE, {"why": "mine", "pause": mark(text)}, **HTMX)
    assert response.status_code == 409
    assert "db is not paused any more." in response.content.decode()
    assert "ada resumed it." in response.content.decode()
    assert Pool.objects.get(name="db").paused_at is None


def test_an_end_stays_unless_another_is_given(operator: Client, paused: Pool) -> None:
    end = claims.clock_time() + timedelta(hours=3)
    pauses.change("db", a.ADA, end)
    text = operator.get("/pools/db/").content.decode()
    kept = re.search(r'<option value="([^"]+)" selected>as now', text)
    assert kept
    operator.post(CHANGE, {"why": "other", "for": kept[1], "pause": mark(text)}, **HTMX)
    assert Pool.objects.get(name="db").paused_until == end


@pytest.mark.parametrize(("data", "status"), [({"for": "a while"}, 422), ({}, 409)])
def test_what_is_no_end_or_no_pause_is_refused(operator: Client, paused: Pool, data, status) -> None:
    assert operator.post(CHANGE, data, **HTMX).status_code == status
    assert operator.post("/pools/nobody/pause/change/", {}, **HTMX).status_code == 404
