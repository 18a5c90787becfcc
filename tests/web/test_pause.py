"""Pausing a pool, with a reason and an end."""

from __future__ import annotations

import pytest
from django.test import Client

from pools.models import Pool
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
