"""Why something waits, and what would start it sooner: the panel, its options, and what taking them does."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(engine, definitions) -> Run:
    """A run whose op is second in line at a full pool. A worker is free."""
    a.workers(4)
    a.pool("db", 1)
    of = a.job(a.op("load", pool="db"))
    a.start(a.the_op(a.started_run(of)))
    a.started_run(of)
    return a.started_run(of)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def where_sooner(text: str) -> str:
    """Where a page has it from what would start it sooner."""
    found = re.search(r'data-sooner="([^"]+)"', text)
    assert found, text
    return found[1]


def mark(text: str) -> str:
    """What tells a page that it is to ask again."""
    found = re.search(r'data-mark="([^"]+)"', text)
    assert found, text
    return found[1]


def sooner(client: Client, where: str) -> str:
    """What a page says would start it sooner: it comes after the page."""
    answer = client.get(where_sooner(client.get(where).content.decode()), headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    return words(answer.content.decode())


def test_the_run_and_its_op_say_what_would_start_it_sooner(operator: Client, waiting: Run) -> None:
    for where in (f"/runs/{waiting.uid}/", f"/runs/{waiting.uid}/ops/load/"):
        said = sooner(operator, where)
        assert "limit 1 → 3 Starts now, after 1 before it" in said
        assert "Priority of the run 0 → 1 Moves from 2nd to 1st in line" in said
        assert re.search(r"When load \w+ ends Moves from 2nd to 1st in line", said)


def test_a_higher_priority_is_one_click_and_only_against_what_was_seen(operator: Client, waiting: Run) -> None:
    where = f"/runs/{waiting.uid}/priority/"
    assert operator.post(where, {"priority": "1", "seen": "7"}).status_code == 409
    assert operator.post(where, {"priority": "1", "seen": "0"}).status_code == 302
    waiting.refresh_from_db()
    assert waiting.priority == 1
    assert "Priority of the run" not in sooner(operator, f"/runs/{waiting.uid}/")


def test_a_paused_pool_is_resumed_from_there(operator: Client, waiting: Run) -> None:
    operator.post("/pools/db/pause/", {"why": "maintenance"})
    said = sooner(operator, f"/runs/{waiting.uid}/")
    assert "Resume pool db Then waits until it has room" in said
    assert "Starts now" not in said


def test_what_another_limit_holds_back_says_so(operator: Client, waiting: Run) -> None:
    run = a.started_run(a.job(a.op("load", pool="db", queue="gpu")))
    said = sooner(operator, f"/runs/{run.uid}/")
    assert "Start 1 worker for queue gpu" in said
    assert "manage.py worker --queue gpu" in said
    assert "Then waits for queue gpu" in said
    assert "Then waits for pool db" in said


def test_a_queued_run_is_told_the_same(operator: Client, waiting: Run) -> None:
    a.tag_rule("team", 1, "growth")
    a.launched_run(tags={"team": "growth"})
    run = a.launched_run(tags={"team": "growth"})
    said = sooner(operator, f"/runs/{run.uid}/")
    assert "Run limit team=growth : limit 1 → 2 Starts now" in said


def test_who_may_only_look_is_told_what_it_takes(viewer: Client, waiting: Run) -> None:
    assert "These need the operator role." in sooner(viewer, f"/runs/{waiting.uid}/")
    assert viewer.post(f"/runs/{waiting.uid}/priority/", {"priority": "1"}).status_code == 403


def test_without_a_script_a_link_leads_to_a_page_that_says_the_same(operator: Client, waiting: Run) -> None:
    a.tag_rule("team", 1, "growth")
    a.launched_run(tags={"team": "growth"})
    queued = a.launched_run(tags={"team": "growth"})
    for where in (f"/runs/{waiting.uid}/ops/load/", f"/runs/{queued.uid}/"):
        text = operator.get(where).content.decode()
        there = where_sooner(text)
        assert f'<h3><a href="{there}">What would start it sooner</a></h3>' in text
        page = operator.get(there).content.decode()
        assert "<html" in page
        assert sooner(operator, where).strip() in words(page)
        assert "has waited" in page
        assert "data-sooner" not in page


def test_what_does_not_wait_any_more_says_so(operator: Client, waiting: Run) -> None:
    first = Run.objects.order_by("id")[0]
    for where in (f"/runs/{first.uid}/sooner/", f"/runs/{first.uid}/ops/load/sooner/"):
        for headers in ({}, {"HX-Request": "true"}):
            assert "It does not wait any more" in operator.get(where, headers=headers).content.decode()
    for where in ("/runs/0000/sooner/", f"/runs/{first.uid}/ops/nothing/sooner/"):
        assert operator.get(where).status_code == 404


def test_it_is_to_be_asked_again_only_when_the_wait_has_changed(operator: Client, waiting: Run) -> None:
    where = f"/runs/{waiting.uid}/ops/load/"

    def drawn() -> str:
        return mark(operator.get(where).content.decode())

    before = drawn()
    a.started_run(a.job(a.op("load", pool="db")))  # gets in line behind it
    a.started_run(a.job(a.op("other", pool="elsewhere", queue="elsewhere")))
    assert drawn() == before
    marks = {before}
    for change in (
        lambda: a.pool("db", 2),
        lambda: operator.post(f"/runs/{waiting.uid}/priority/", {"priority": "7"}),
        lambda: operator.post("/pools/db/pause/"),
    ):
        change()
        assert drawn() not in marks
        marks.add(drawn())


def limits(client: Client, run: Run) -> str:
    text = client.get(f"/runs/{run.uid}/").content.decode()
    found = re.search(r'id="limits-met".*?</section>', text, re.DOTALL)
    assert found
    return words(found[0].partition(">")[2])


def test_every_limit_that_a_run_and_its_ops_meet_is_shown_with_its_use(operator: Client, waiting: Run) -> None:
    said = limits(operator, waiting)
    assert "The run queue 1 held by this run 3 / 10" in said
    assert "Pool db 1 / 1" in said
    assert "Queue default 1 / 4" in said
    first = Run.objects.order_by("id")[0]
    assert "Pool db 1 held by this run 1 / 1" in limits(operator, first)
    a.tag_rule("team", 1, "growth")
    a.launched_run(tags={"team": "growth"})
    queued = a.launched_run(tags={"team": "growth"})
    assert "Run limit team=growth 1 / 1" in limits(operator, queued)


def test_the_explanation_has_an_address_of_its_own(operator: Client, waiting: Run) -> None:
    where = f"/runs/{waiting.uid}/why/"
    assert where in operator.get(f"/runs/{waiting.uid}/").content.decode()
    assert "limit 1 → 3 Starts now, after 1 before it" in sooner(operator, where)
    first = Run.objects.order_by("id")[0]
    text = operator.get(f"/runs/{first.uid}/why/").content.decode()
    assert "It is not waiting" in text
    assert "It started at once." in text
    assert operator.get("/runs/0000/why/").status_code == 404


def test_what_waited_once_says_for_what(operator: Client, engine) -> None:
    a.workers(2)
    a.tag_rule("team", 1, "growth")
    a.launched_run(tags={"team": "growth"})
    run = a.launched_run(tags={"team": "growth"})
    a.let_pass(90)
    a.tag_rule("team", 2, "growth")
    text = operator.get(f"/runs/{run.uid}/why/").content.decode()
    assert "Before it started it waited for" in text
    assert "run limit team=growth" in text
