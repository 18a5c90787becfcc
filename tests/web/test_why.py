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


def panel(client: Client, where: str) -> str:
    text = client.get(where).content.decode()
    found = re.search(r'<div class="do">.*?</div>\s*</section>', text, re.DOTALL)
    assert found, text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def test_the_run_and_its_op_say_what_would_start_it_sooner(operator: Client, waiting: Run) -> None:
    for where in (f"/runs/{waiting.uid}/", f"/runs/{waiting.uid}/ops/load/"):
        said = panel(operator, where)
        assert "limit 1 → 3 Starts now, after 1 before it" in said
        assert "Priority of the run 0 → 1 Moves from 2nd to 1st in line" in said
        assert re.search(r"When load \w+ ends Moves from 2nd to 1st in line", said)


def test_a_higher_priority_is_one_click_and_only_against_what_was_seen(operator: Client, waiting: Run) -> None:
    where = f"/runs/{waiting.uid}/priority/"
    assert operator.post(where, {"priority": "1", "seen": "7"}).status_code == 409
    assert operator.post(where, {"priority": "1", "seen": "0"}).status_code == 302
    waiting.refresh_from_db()
    assert waiting.priority == 1
    assert "Priority of the run" not in panel(operator, f"/runs/{waiting.uid}/")


def test_a_paused_pool_is_resumed_from_there(operator: Client, waiting: Run) -> None:
    operator.post("/pools/db/pause/", {"why": "maintenance"})
    said = panel(operator, f"/runs/{waiting.uid}/")
    assert "Resume pool db Then waits until it has room" in said
    assert "Starts now" not in said


def test_what_another_limit_holds_back_says_so(operator: Client, waiting: Run) -> None:
    run = a.started_run(a.job(a.op("load", pool="db", queue="gpu")))
    said = panel(operator, f"/runs/{run.uid}/")
    assert "Start 1 worker for queue gpu" in said
    assert "manage.py worker --queue gpu" in said
    assert "Then waits for queue gpu" in said
    assert "Then waits for pool db" in said


def test_a_queued_run_is_told_the_same(operator: Client, waiting: Run) -> None:
    a.tag_rule("team", 1, "growth")
    a.launched_run(tags={"team": "growth"})
    run = a.launched_run(tags={"team": "growth"})
    said = panel(operator, f"/runs/{run.uid}/")
    assert "Run limit team=growth : limit 1 → 2 Starts now" in said


def test_who_may_only_look_is_told_what_it_takes(viewer: Client, waiting: Run) -> None:
    text = viewer.get(f"/runs/{waiting.uid}/").content.decode()
    assert "These need the operator role." in text
    assert viewer.post(f"/runs/{waiting.uid}/priority/", {"priority": "1"}).status_code == 403


def limits(client: Client, run: Run) -> str:
    text = client.get(f"/runs/{run.uid}/").content.decode()
    found = re.search(r'id="limits-met".*?</section>', text, re.DOTALL)
    assert found
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0].partition(">")[2]))


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
    assert "limit 1 → 3 Starts now, after 1 before it" in panel(operator, where)
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
