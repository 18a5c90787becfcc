"""What can't be shown is said in the voice of the pages, whatever the reason."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client

from controlplane.dashboard.views import overview
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reader(operator: Client) -> Client:
    operator.raise_request_exception = False
    return operator


def test_the_address_of_a_button_is_no_page(reader: Client) -> None:
    a.pool("database", 1)
    answer = reader.get("/pools/database/pause/")
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert "There is nothing to read here." in answer.content.decode()
    assert "</html>" in answer.content.decode()


def test_whoever_is_refused_finds_the_way_back(reader: Client) -> None:
    pool = a.pool("database", 1)
    where = f"http://testserver/pools/{pool.name}/"
    answer = reader.post("/pools/database/limit/", {"limit": "3", "version": "999"}, headers={"referer": where})
    assert answer.status_code == 409
    assert f'<a href="{where}">Back without a change</a>' in answer.content.decode()
    elsewhere = {"referer": "https://example.com/pools/"}
    answer = reader.post("/pools/database/limit/", {"limit": "3", "version": "999"}, headers=elsewhere)
    assert "Back without" not in answer.content.decode()


def test_who_may_only_look_is_told_whom_to_ask(viewer: Client) -> None:
    a.pool("database", 1)
    answer = viewer.post("/pools/database/pause/")
    assert answer.status_code == 403
    assert "operator" in answer.content.decode()
    assert "</html>" in answer.content.decode()


def test_a_fault_of_ours_is_said(reader: Client, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(overview.screens, "overview", fails)
    answer = reader.get("/")
    assert answer.status_code == 500
    assert "Something went wrong on our side." in answer.content.decode()


def test_a_database_that_is_away_is_said_without_it(reader: Client, monkeypatch) -> None:
    def is_away(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(CursorWrapper, "execute", is_away)
    answer = reader.get("/pools/")
    monkeypatch.undo()
    assert answer.status_code == 503
    assert "The database does not answer" in answer.content.decode()
    assert "Nothing was changed" in answer.content.decode()
