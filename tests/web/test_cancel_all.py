"""All runs of a filter are canceled from the list: asked for by their number, with progress, whatever the page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from controlplane.dashboard import screens
from pools import claims
from runs import bulk_cancel, run_limits, states
from runs.filters import Filter
from runs.models import BulkCancel, Run
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "definitions")]

HTMX = {"HX-Request": "true"}
WHERE = "/runs/cancel/"


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    """It begins without the time in which it can be undone: see test_cancel_undo."""
    monkeypatch.setattr(bulk_cancel, "UNDO_FOR", 0.0)


@pytest.fixture
def many() -> None:
    """Two runs in progress, and nine queued, four of them of a team."""
    a.workers(1)
    for _ in range(2):
        a.started_run()
    run_limits.set_maximum(0, a.ADA)
    for number in range(9):
        a.launched_run(tags={"team": "growth"} if number < 4 else {})


def asked(client: Client, query: str = "") -> str:
    response = client.get(WHERE + query, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def fields(html: str) -> dict[str, str]:
    """What the form of the dialog sends."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))


def confirm(client: Client, html: str, htmx: bool = True, **more: str):
    return client.post(WHERE, {**fields(html), **more}, headers=HTMX if htmx else {})


def found(state: str) -> int:
    return Run.objects.filter(state=state).count()


# --- asking -----------------------------------------------------------------------------------------


def test_it_is_asked_by_verb_and_number(operator: Client, many: None) -> None:
    text = asked(operator)
    assert "Cancel 11 runs?" in text
    assert "9 are queued" in text
    assert "2 are in progress" in text
    assert ">Cancel 11 runs</button>" in text
    assert 'name="number"' not in text, "nothing to type for so few"
    assert found(states.CANCELED) == 0


def test_the_filter_of_the_list_is_kept(operator: Client, many: None) -> None:
    text = asked(operator, "?state=queued&tag=team%3Dgrowth&job=job")
    assert "Cancel 4 runs?" in text
    assert "team=growth" in text
    page = operator.get("/runs/?state=queued&tag=team%3Dgrowth&job=job").content.decode()
    assert f"{WHERE}?state=queued&amp;job=job&amp;tag=team%3Dgrowth" in page


def test_one_run_is_no_runs(operator: Client) -> None:
    a.queued_run()
    text = asked(operator)
    assert "Cancel 1 run?" in text
    assert "1 is queued" in text


@pytest.mark.parametrize("query", ["?state=failure", "?tag=nobody", "?job=nothing", "?q=nothing"])
def test_where_nothing_is_to_be_canceled_it_is_said(operator: Client, many: None, query: str) -> None:
    text = asked(operator, query)
    assert "Nothing to cancel" in text
    assert "<form" not in text.replace('<form method="dialog"', "")


def test_a_state_that_there_is_not_is_no_filter(operator: Client, many: None) -> None:
    """The list would show all runs; here that would cancel them."""
    response = operator.get(WHERE + "?state=qeued")
    assert response.status_code == 422
    assert "state: &#x27;qeued&#x27; is not allowed" in response.content.decode()
    response = operator.post(WHERE, {"state": "qeued", "newest": "999999", "total": "11"})
    assert response.status_code == 422
    assert found(states.CANCELED) == 0


@pytest.mark.parametrize(("where", "offered"), [
    ("/runs/", True), ("/runs/?state=queued", True), ("/runs/?state=progress", True), ("/runs/?state=success", False),
    ("/runs/?state=failure", False), ("/queue/", True),
])  # fmt: skip
def test_it_is_offered_where_there_may_be_something_to_cancel(
    operator: Client, many: None, where: str, offered: bool
) -> None:
    assert (WHERE in operator.get(where).content.decode()) is offered


# --- doing it ---------------------------------------------------------------------------------------


def test_all_that_match_are_canceled(operator: Client, many: None) -> None:
    response = confirm(operator, asked(operator, "?state=queued"))
    assert response.status_code == 200
    assert "9 runs are canceled." in response.content.decode()
    assert (found(states.CANCELED), found(states.STARTED)) == (9, 2)
    assert BulkCancel.objects.get().who == "ann"


def test_a_filter_that_is_narrower_cancels_less(operator: Client, many: None) -> None:
    confirm(operator, asked(operator, "?tag=team%3Dgrowth"))
    assert found(states.CANCELED) == 4


def test_what_was_launched_since_is_left_alone(operator: Client, many: None) -> None:
    html = asked(operator)
    later = a.launched_run()
    confirm(operator, html)
    later.refresh_from_db()
    assert later.state == states.QUEUED
    assert found(states.CANCELED) == 11


def test_without_scripts_it_leads_back_to_the_list(operator: Client, many: None) -> None:
    page = operator.get(WHERE + "?state=queued&tag=team").content.decode()
    assert "</html>" in page
    response = confirm(operator, page, htmx=False)
    assert (response.status_code, response["Location"]) == (302, "/runs/?state=queued&tag=team")
    text = operator.get(response["Location"]).content.decode()
    assert "4 runs are canceled." in text
    assert "by ann" in text


def test_above_a_hundred_the_number_is_typed(operator: Client, monkeypatch) -> None:
    from controlplane.dashboard.views import canceling

    monkeypatch.setattr(canceling, "MOST_WITHOUT_TYPING", 3)
    run_limits.set_maximum(0, a.ADA)
    for _ in range(4):
        a.launched_run()
    html = asked(operator)
    assert "Type 4 to confirm" in html
    for typed in ("", "3", "four", "44"):
        response = confirm(operator, html, number=typed)
        assert response.status_code == 422
        assert "Type 4" in response.content.decode()
    assert found(states.CANCELED) == 0
    assert confirm(operator, html, number=" 4 ").status_code == 200
    assert found(states.CANCELED) == 4


def test_a_number_may_be_typed_as_it_is_shown(operator: Client, monkeypatch) -> None:
    from controlplane.dashboard.views import canceling

    assert canceling.typed("2 310") == canceling.typed("2 310") == canceling.typed("2,310") == 2310
    assert canceling.typed("-1") is canceling.typed("") is canceling.typed("1e3") is None


@pytest.mark.parametrize("change", [{"newest": ""}, {"newest": "x"}, {"total": ""}, {"total": "-3"}, {"total": "1"}])
def test_a_form_that_does_not_say_what_was_seen_is_asked_again(operator: Client, many: None, change: dict) -> None:
    response = confirm(operator, asked(operator), **change)
    assert response.status_code == 409
    assert "Cancel 11 runs?" in response.content.decode()
    assert found(states.CANCELED) == 0


def test_what_has_ended_meanwhile_is_said(operator: Client) -> None:
    run = a.queued_run()
    html = asked(operator)
    bulk_cancel.begin(Filter(), "bob")
    response = confirm(operator, html)
    assert response.status_code == 409
    assert "Nothing to cancel" in response.content.decode()
    run.refresh_from_db()
    assert run.canceled_by == "bob"


def test_a_viewer_may_look_but_not_cancel(viewer: Client, many: None) -> None:
    assert WHERE not in viewer.get("/runs/").content.decode()
    assert WHERE not in viewer.get("/queue/").content.decode()
    html = asked(viewer)
    assert "needs the operator role" in html
    assert re.search(r"<button[^>]* disabled[^>]*>Cancel 11 runs", html)
    assert confirm(viewer, html).status_code == 403
    assert found(states.CANCELED) == 0


# --- how far it has got -----------------------------------------------------------------------------


@pytest.fixture
def half_way(many: None, monkeypatch) -> BulkCancel:
    """Three of nine queued runs are canceled, the clock has not gone on yet."""
    monkeypatch.setattr(bulk_cancel, "BATCH", 3)
    monkeypatch.setattr(bulk_cancel, "AT_ONCE", 0.0)
    return bulk_cancel.begin(Filter("queued"), "ann")


@pytest.mark.parametrize("where", ["/runs/", "/runs/?state=failure", "/queue/"])
def test_while_it_goes_on_every_list_shows_how_far_it_has_got(viewer: Client, half_way: BulkCancel, where: str) -> None:
    text = viewer.get(where).content.decode()
    assert re.search(r'<progress[^>]* value="3" max="9"', text)
    assert "3 of 9 canceled" in text


def test_at_its_end_it_is_told_for_a_minute(viewer: Client, half_way: BulkCancel) -> None:
    bulk_cancel.finish()
    text = viewer.get("/runs/").content.decode()
    assert "9 runs are canceled" in text
    assert "<progress" not in text
    BulkCancel.objects.update(ended_at=claims.clock_time() - timedelta(minutes=2))
    assert "9 runs are canceled" not in viewer.get("/runs/").content.decode()


def test_what_ended_by_itself_is_told_apart(viewer: Client, half_way: BulkCancel) -> None:
    BulkCancel.objects.update(total=12)
    bulk_cancel.finish()
    assert "9 of 12 runs are canceled, the others ended before" in viewer.get("/runs/").content.decode()


def test_an_answer_before_the_end_says_how_far_it_is(operator: Client, many: None, monkeypatch) -> None:
    monkeypatch.setattr(bulk_cancel, "BATCH", 3)
    monkeypatch.setattr(bulk_cancel, "AT_ONCE", 0.0)
    response = confirm(operator, asked(operator, "?state=queued"))
    assert "3 of 9 runs are canceled so far; the others follow." in response.content.decode()
    bulk_cancel.finish()
    assert found(states.CANCELED) == 9


def test_large_numbers_are_grouped(viewer: Client, half_way: BulkCancel) -> None:
    BulkCancel.objects.update(total=10_000, canceled=2_310)
    assert "2 310 of 10 000 canceled" in viewer.get("/runs/").content.decode()
    BulkCancel.objects.update(ended_at=claims.clock_time())


@pytest.mark.parametrize("topic", ["runs:", "queue"])
def test_the_stream_tells_how_far_it_has_got(half_way: BulkCancel, topic: str) -> None:
    drawn = {block.id: block.draw() for block in screens.blocks_of(topic)}
    assert "3 of 9 canceled" in drawn["bulk-cancel"]


def test_the_pages_are_told_of_each_step_and_of_the_end(half_way: BulkCancel, monkeypatch) -> None:
    told: list[int] = []

    def look(topics: set[str]) -> None:
        if "runs" in topics:
            told.append(BulkCancel.objects.get().canceled)

    monkeypatch.setattr(bulk_cancel.tickets, "announce", look)
    bulk_cancel.finish()
    assert 6 in told
    assert told[-1] == 9
    assert BulkCancel.objects.get().ended_at is not None


def test_more_runs_ask_no_more_questions(operator: Client, many: None) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as queries:
            asked(operator)
        return len(queries)

    before = questions()
    for _ in range(5):
        a.launched_run()
    assert questions() == before
