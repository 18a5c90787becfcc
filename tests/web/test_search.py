"""Search: runs, ops, jobs, assets, pools and tags, by a few letters."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}


def found(client: Client, text: str) -> str:
    """What the palette is shown."""
    answer = client.get("/search/", {"q": text}, headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    return answer.content.decode()


def test_an_op_that_waits_is_found_by_its_name(operator: Client, busy: Run) -> None:
    text = found(operator, "OP_")
    assert "Ops waiting and at work" in text
    assert reverse("op", args=[busy.uid, "op_3"]) in text


def test_runs_are_found_by_the_beginning_of_their_uid_and_by_their_job(operator: Client, busy: Run) -> None:
    assert reverse("run", args=[busy.uid]) in found(operator, busy.uid[:4])
    run = a.launched_run(a.job(name="copy_table"))
    text = found(operator, "copy")
    assert reverse("run", args=[run.uid]) in text
    assert reverse("launch", args=["copy_table"]) in text
    assert "/runs/?job=copy_table" in text


def test_pools_and_assets_are_found(operator: Client, busy: Run) -> None:
    a.sizing.describe("database", "the main one", a.ADA)
    text = found(operator, "data")
    assert reverse("pool", args=["database"]) in text
    assert "the main one" in text
    assert "/launch/?select=orders" in found(operator, "order")


@pytest.mark.parametrize("text", ["launch", "Launch copy"])
def test_what_can_be_launched_is_found_by_that_word(operator: Client, busy: Run, text: str) -> None:
    page = found(operator, text)
    assert "Launch copy_table" in page
    assert "its runs" not in page, "Enter takes the first"


@pytest.mark.parametrize("text", ["team=growth", "tag:team=growth"])
def test_a_tag_leads_to_its_runs(operator: Client, busy: Run, text: str) -> None:
    assert "/runs/?tag=team%3Dgrowth" in found(operator, text)


def test_nothing_is_said_with_a_hint(operator: Client, busy: Run) -> None:
    text = found(operator, "<nobody>")
    assert "Nothing named “&lt;nobody&gt;”" in text
    assert "team=" in text
    assert "Go to" in found(operator, "  ")


def test_without_a_script_search_is_a_page(viewer: Client, busy: Run) -> None:
    page = viewer.get("/search/", {"q": "copy"}).content.decode()
    assert 'value="copy"' in page
    assert "its runs" in page
    assert "Launch copy_table" not in page, "a viewer may not"
    assert viewer.get("/search/").status_code == 200
    assert viewer.get("/search/", {"q": "x" * 5000}).status_code == 200
