"""A page that has nothing to show yet says what it is for, and the next step."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)

EMPTY = {
    "/runs/": ("No run yet. A run is one execution of a job", "/jobs/"),
    "/queue/": ("A run that finds no room waits here, and says for what.", "/queue/limits/"),
    "/queue/limits/": ("No tag limit. Runs are bounded", 'id="add-rule"'),
    "/pools/": ("No pool yet. Pools appear when an op names one", "/pools/#create"),
    "/changes/": ("No change yet. Every change of a limit is kept here", "/queue/limits/"),
    "/workers/": ("Nothing starts. Start some", "manage.py worker"),
    "/runs/views/": ("You have no saved view", "Filter"),
    "/": ("Nothing is running.", "/jobs/"),
}


@pytest.mark.parametrize("where", EMPTY)
def test_an_empty_page_says_what_it_is_for_and_what_comes_next(operator: Client, where: str) -> None:
    shown = operator.get(where).content.decode()
    for text in EMPTY[where]:
        assert text in shown, text
    assert "Cancel all that match" not in shown


def test_what_is_not_there_leads_on(operator: Client) -> None:
    shown = operator.get("/runs/nothing/").content.decode()
    assert "There is nothing here." in shown
    assert '<a href="/">To the overview</a>, or <a href="/search/">find something</a>.' in shown
