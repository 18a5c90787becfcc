"""The page of runs finds what is asked for, says what to do where nothing is found, and moves nothing under a hand."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from controlplane.dashboard import saved_views, screens
from controlplane.dashboard.models import SavedView
from pools import claims
from runs import bulk_cancel, filters, transitions
from runs.filters import Filter
from runs.models import BulkCancel, Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}


def shown(client: Client, query: str = "") -> str:
    response = client.get("/runs/" + query)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def topic_of(page: str) -> str:
    stream = re.search(r'data-stream="([^"]+)"', page)[1]  # type: ignore[index]
    return parse_qs(urlsplit(stream).query)["t"][1]


def drawn(topic: str) -> dict[str, str]:
    return {block.id: html.unescape(block.draw()) for block in screens.blocks_of(topic)}


def test_text_and_time_find(operator: Client, busy: Run) -> None:
    assert shown(operator, "?q=it+BROKE").count('id="r-') == 1
    assert shown(operator, f"?q={busy.uid[:10]}").count('id="r-') == 1
    a.let_pass(7200)
    assert "No run matches" in shown(operator, "?when=1h")
    assert shown(operator, "?when=24h").count('id="r-') == 5


def test_rows_stay_and_what_is_new_is_only_counted(viewer: Client, busy: Run) -> None:
    page = shown(viewer, "?state=queued")
    topic = topic_of(page)
    queued = Run.objects.filter(state="queued").order_by("-id")
    for block in drawn(topic).values():
        assert block.strip() in page
    transitions.cancel_run(queued[0].pk, "ann")
    a.launched_run(tags={"team": "growth"})
    a.launched_run(tags={"team": "growth"})
    now = drawn(topic)
    assert now["runs"].count('id="r-') == 2
    assert "Canceled" in now["runs"], "a row stays, though its run does not match any more"
    assert re.search(r"href=\"/runs/\?state=queued\".*2 new runs", now["new-runs"])
    assert shown(viewer, "?state=queued").count('id="r-') == 3


def test_an_older_page_counts_nothing_new(viewer: Client, busy: Run) -> None:
    newest = Run.objects.latest("id").pk
    topic = topic_of(shown(viewer, f"?before={newest}"))
    a.launched_run()
    assert "new run" not in drawn(topic)["new-runs"]
    assert drawn(topic)["runs"].count('id="r-') == 4


@pytest.mark.parametrize("topic", ["runs:rows=" + "-".join("9" * 31), "runs:state=none", "runs:when=range&from=x"])
def test_a_topic_that_no_page_has_draws_nothing(viewer: Client, topic: str) -> None:
    with pytest.raises(screens.NoSuchScreen):
        screens.blocks_of(topic)


def test_where_nothing_is_found_parts_of_the_filter_can_be_left_out(operator: Client, busy: Run) -> None:
    text = shown(operator, "?state=failure&tag=team%3Dgrowth&when=1h")
    empty = text[text.index("No run matches") :]
    assert '<a href="/runs/?state=failure&tag=team%3Dgrowth&when=24h">Widen to <b>last 24 hours</b></a>' in empty
    assert '<a href="/runs/?tag=team%3Dgrowth&when=1h">clear <b>failed</b></a>' in empty
    assert '<a href="/runs/?state=failure&when=1h">clear <b>team=growth</b></a>' in empty


def test_a_filter_that_is_not_allowed_is_said_and_finds_nothing(operator: Client, busy: Run) -> None:
    response = operator.get("/runs/?when=range&from=yesterday&job=job")
    text = html.unescape(response.content.decode())
    assert response.status_code == 422
    assert "from: 'yesterday' is not allowed: use a date and time like 2026-11-25T14:30, in UTC." in text
    assert 'value="yesterday"' in text
    assert 'id="r-' not in text
    assert "Cancel all that match" not in text


def test_a_search_that_the_database_stopped_says_so(operator: Client, busy: Run, monkeypatch) -> None:
    @contextmanager
    def at_once(seconds: float) -> Iterator[None]:
        yield
        raise claims.TookTooLong

    monkeypatch.setattr(filters, "_parts", lambda *ends: iter(()))
    monkeypatch.setattr(claims, "at_most", at_once)
    text = shown(operator, "?q=nowhere")
    assert "The database stopped this search after 2 s: it would take too long. Narrow the filter" in text
    assert "look further back" not in text
    assert "No run matches" not in text


def test_counts_are_capped_and_a_search_that_was_stopped_says_so(operator: Client, busy: Run, monkeypatch) -> None:
    assert "5 runs" in shown(operator)
    monkeypatch.setattr(filters, "MOST_COUNTED", 3)
    assert "3+ runs" in shown(operator)
    monkeypatch.setattr(filters, "PART", 2)
    monkeypatch.setattr(filters, "PATIENCE", 0)
    text = shown(operator, "?q=nowhere")
    assert "Stopped after 2 s" in text
    assert "No run matches" not in text
    further = re.search(r'href="/runs/(\?q=nowhere&before=\d+)">look further back', text)[1]  # type: ignore[index]
    assert f"before={Run.objects.latest('id').pk - 1}" in further
    while "Stopped after 2 s" in text:
        further = re.search(r'href="/runs/(\?q=nowhere&before=\d+)">look', text)[1]  # type: ignore[index]
        text = shown(operator, further)
    assert "No run matches" in text


def test_all_that_match_are_canceled_by_text_and_time(operator: Client, busy: Run, monkeypatch) -> None:
    monkeypatch.setattr(bulk_cancel, "UNDO_FOR", 0.0)
    wanted = Run.objects.filter(state="queued").latest("id")
    text = html.unescape(operator.get(f"/runs/cancel/?q={wanted.uid[:12]}&when=1h", headers=HTMX).content.decode())
    assert "Cancel 1 run?" in text
    assert f"{wanted.uid[:12]} in their id or error, launched in the last hour" in re.sub(r"<[^>]+>", "", text)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    assert operator.post("/runs/cancel/", fields, headers=HTMX).status_code == 200
    wanted.refresh_from_db()
    assert wanted.state == "canceled"
    row = BulkCancel.objects.get()
    assert (row.text, row.total, row.until) == (wanted.uid[:12], 1, None)
    assert row.since is not None


# --- saved views ------------------------------------------------------------------------------------


def test_a_view_is_saved_followed_renamed_and_deleted(viewer: Client, busy: Run) -> None:
    query = "?state=queued&tag=team%3Dgrowth&when=24h"
    asked = viewer.get("/runs/views/" + query, headers=HTMX).content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked))
    saved = viewer.post("/runs/views/", {**fields, "name": " Growth,  held back "})
    assert saved.status_code == 302
    assert saved["Location"] == "/runs/" + query
    page = shown(viewer, query)
    assert f'href="/runs/{query}" aria-current="page">Growth, held back</a>' in page
    view = SavedView.objects.get()
    assert viewer.post(f"/runs/views/{view.pk}/", {"name": "Growth"}).status_code == 302
    assert f'href="/runs/{query}">Growth</a>' in shown(viewer)
    assert viewer.post(f"/runs/views/{view.pk}/delete/").status_code == 302
    assert "Growth</a>" not in shown(viewer)


def test_a_view_is_its_owners_alone(viewer: Client, operator: Client, busy: Run) -> None:
    view = saved_views.save(User.objects.get(username="ann"), "Mine", Filter("queued"))
    assert "Mine</a>" in shown(operator)
    assert "Mine</a>" not in shown(viewer)
    assert viewer.post(f"/runs/views/{view.pk}/", {"name": "Yours"}).status_code == 404
    assert viewer.post(f"/runs/views/{view.pk}/delete/").status_code == 404
    assert SavedView.objects.get().name == "Mine"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"state": "queued", "name": " "}, "use 1 to 60 characters"),
        ({"state": "queued", "name": "x" * 61}, "use 1 to 60 characters"),
        ({"state": "queued", "name": "Mine"}, "you have a view 'Mine' already"),
        ({"name": "All"}, "Choose a filter first"),
        ({"name": "None", "state": "x"}, "state: 'x' is not allowed"),
    ],
)
def test_a_view_that_can_not_be_saved_says_why(operator: Client, sent: dict[str, str], told: str) -> None:
    saved_views.save(User.objects.get(username="ann"), "Mine", Filter("queued"))
    response = operator.post("/runs/views/", sent)
    assert response.status_code == 422
    assert told in html.unescape(response.content.decode())
    assert SavedView.objects.count() == 1


def test_views_are_not_without_number(operator: Client, monkeypatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 1)
    ann = User.objects.get(username="ann")
    view = saved_views.save(ann, "Mine", Filter("queued"))
    with pytest.raises(saved_views.InvalidView, match="delete one first"):
        saved_views.save(ann, "More", Filter("failure"))
    other = SavedView.objects.create(user=ann, name="Other", query="state=failure")
    assert operator.post(f"/runs/views/{other.pk}/", {"name": "Mine"}).status_code == 422
    assert saved_views.rename(ann, view.pk, "Mine")
    assert unquote(view.query) == "state=queued"
