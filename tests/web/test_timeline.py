"""What the timeline of a run draws: waiting, starting, every attempt, and the delays between them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from controlplane.dashboard import screens, timeline
from controlplane.dashboard.timeline import Timeline
from pools import sizing
from runs import queries, time_split, transitions
from runs.models import Op, Run
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]


def bars(op: Op) -> list[tuple[str, int, int]]:
    """What is drawn for an op, (kind, from, to), in percent; what took no time aside."""
    run = Run.objects.get(pk=op.run_id)
    ops = queries.ops_of(run)
    drawn = Timeline(run, ops, time_split.of_run(run, ops, None).spans).rows[0].bars
    return [
        (bar.kind, round(bar.x), round(bar.x + bar.width)) for bar in drawn if round(bar.x) < round(bar.x + bar.width)
    ]


def test_every_attempt_is_drawn_apart_from_its_wait() -> None:
    a.pool("database", 0)
    a.workers(1)
    op = a.waiting_op(a.op("copy", pool="database"))
    a.let_pass(600)
    assert bars(op) == [("wait", 0, 100)]
    sizing.set_limit("database", 1, a.ADA)
    a.start(op)
    a.let_pass(600)
    assert bars(op) == [("wait", 0, 50), ("run", 50, 100)]
    a.fail(op, retry_in=600)
    a.let_pass(600)
    assert bars(op) == [("wait", 0, 33), ("fail", 33, 67), ("delay", 67, 100)]
    a.due(op)
    transitions.retry_due()
    a.start(op)
    a.let_pass(600)
    a.end(op)
    assert bars(op) == [("wait", 0, 25), ("fail", 25, 50), ("delay", 50, 75), ("ok", 75, 100)]


def test_a_wait_that_was_canceled_is_drawn() -> None:
    op = a.waiting_op()
    a.let_pass(600)
    transitions.cancel_run(op.run_id, "ada")
    assert bars(op) == [("wait", 0, 100)]


def test_an_attempt_that_was_stopped_is_no_failure() -> None:
    op = a.running_op()
    a.let_pass(600)
    transitions.cancel_run(op.run_id, "ada")
    a.end(op, a.Verdict.canceled())
    assert bars(op) == [("off", 0, 100)]


def test_an_attempt_is_drawn_however_short_it_was() -> None:
    op = a.running_op()
    a.end(op)
    a.let_pass(600)
    Run.objects.filter(pk=op.run_id).update(ended_at=None, state="started")
    run = Run.objects.get(pk=op.run_id)
    ops = queries.ops_of(run)
    drawn = Timeline(run, ops, time_split.of_run(run, ops, None).spans).rows[0].bars
    assert [bar.kind for bar in drawn if bar.kind == "ok" and bar.width >= timeline.LEAST_RUN] == ["ok"]
    Run.objects.filter(pk=op.run_id).update(ended_at=run.queued_at, state="success")


# --- very many ops ----------------------------------------------------------------------------------


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of more ops than are drawn one by one: 2 run, 4 wait, 6 come after others."""
    monkeypatch.setattr(timeline, "MOST", 3)
    a.workers(2)
    first = [a.op(f"first_{n}") for n in range(6)]
    run = a.started_run(a.job(*first, *(a.op(f"second_{n}", after=[f"first_{n}"]) for n in range(6))))
    for op in a.in_state("admitted", run):
        a.start(op)
    a.let_pass(600)
    return run


def look(client: Client, run: Run, query: str = "") -> str:
    """The timeline on the page of a run."""
    response = client.get(f"/runs/{run.uid}/{query}")
    assert response.status_code == 200, response.content.decode()
    text = response.content.decode()
    begin = text.index('id="timeline"')
    return text[begin : text.index("</section>", begin)]


def test_very_many_ops_are_drawn_by_state(many: Run, viewer: Client) -> None:
    text = look(viewer, many)
    assert re.findall(r'<tr id="ops-(\w+)"', text) == ["running", "ready", "pending"]
    assert '<tr id="op-' not in text
    assert 'aria-label="2 ops; at most 2 of them ran at once, 0 waited"' in text
    assert 'aria-label="4 ops; at most 0 of them ran at once, 4 waited"' in text
    assert f'href="/runs/{many.uid}/?ops=ready#timeline"' in text
    assert 'class="b-run sh-5"' in text
    assert 'class="at-now"' in text


def test_ops_of_a_state_are_drawn_one_by_one_page_by_page(many: Run, viewer: Client) -> None:
    def keys(query: str) -> list[str]:
        return re.findall(r'<a href="[^"]*/ops/(\w+)/"', look(viewer, many, query))

    def further(query: str) -> str:
        return re.findall(r'href="[^"?]*([^"]*)#timeline">Further ops', look(viewer, many, query))[0].replace(
            "&amp;", "&"
        )

    assert len(keys("?ops=running")) == 2
    assert len(keys("?ops=ready")) == 3
    assert len(keys(further("?ops=ready"))) == 1
    assert "No op of this state" in look(viewer, many, "?ops=failure")
    page, seen = "?from=0", keys("?from=0")
    while "Further ops" in look(viewer, many, page):
        page = further(page)
        seen += keys(page)
    assert sorted(seen) == sorted(f"{name}_{n}" for name in ("first", "second") for n in range(6))


def test_the_stream_draws_what_the_page_shows(many: Run, viewer: Client) -> None:
    text = viewer.get(f"/runs/{many.uid}/?ops=ready").content.decode()
    assert f"t=run%3A{many.pk}/ready/" in text
    blocks = {block.id: block.draw() for block in screens.blocks_of(f"run:{many.pk}/ready/")}
    assert blocks["timeline"].count('<tr id="op-') == 3
    assert screens.is_touched(f"run:{many.pk}/ready/", {f"run:{many.pk}"})
    assert not screens.is_touched(f"run:{many.pk}/ready/", {f"run:{many.pk + 1}"})


@pytest.mark.parametrize("query", ["?ops=lost", "?from=x", "?from=-1", "?from=99999999999"])
def test_a_choice_that_makes_no_sense_is_refused(many: Run, viewer: Client, query: str) -> None:
    response = viewer.get(f"/runs/{many.uid}/{query}")
    assert response.status_code == 400
    assert f"{query[1:].partition('=')[0]}: " in response.content.decode()
