"""The graph of a run's ops: each with its state and its page, what is reused too; very many by state and layer."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from controlplane.dashboard import graph
from runs import queries, reexecution
from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


def drawn(run: Run) -> graph.Drawn:
    ops = queries.ops_of(run)
    return graph.of_run(run, ops, queries.dependencies(run, ops))


def test_each_op_has_its_state_and_leads_to_its_page(viewer: Client, busy: Run) -> None:
    text = viewer.get(f"/runs/{busy.uid}/").content.decode()
    panel = text[text.index('id="graph"') : text.index('id="log"')]
    links = dict(re.findall(r'<a class="nd ([\w-]+)" href="[^"]*/ops/(\w+)/">', panel))
    assert len(re.findall(r'<a class="nd', panel)) == 5
    assert f'href="/runs/{busy.uid}/ops/op_0/"' in panel
    assert "<title>op_0: Running</title>" in panel
    assert "<title>last: Not ready, after op_0</title>" in panel
    assert 'href="#i-run"' in panel
    assert links.keys() >= {"is-run", "is-off"}


def test_what_is_reused_stands_where_it_stood(engine, definitions) -> None:
    a.workers(2)
    run = a.started_run(definitions.jobs["pipeline"])
    a.carry_out(a.the_op(run, "extract"))
    a.start(a.the_op(run, "load"))
    a.fail(a.the_op(run, "load"))
    run.refresh_from_db()
    again = reexecution.reexecute(run, who="ada", door="cli", from_failure=True)
    assert queries.dependencies(again, queries.ops_of(again)) == {"extract": (), "load": ("extract",)}
    assert {box.node.key: box.node.says for box in drawn(again).boxes} == {"extract": "Reused", "load": "Starting"}


def test_of_very_many_ops_those_of_one_state_stand_together(engine, monkeypatch) -> None:
    monkeypatch.setattr(graph, "MOST", 10)
    a.workers(1)
    first = [a.op(f"first_{n}") for n in range(8)]
    second = [a.op(f"second_{n}", after=[f"first_{n}"]) for n in range(8)]
    run = a.started_run(a.job(*first, *second))
    a.start(a.in_state("admitted", run)[0])
    picture = drawn(run)
    assert picture.grouped
    assert sorted((box.node.name, box.node.says) for box in picture.boxes) == [
        ("7 ops", "Waiting"), ("8 ops", "Not ready"), ("first_0", "Running"),
    ]  # fmt: skip
    (waiting,) = [box.node for box in picture.boxes if box.node.says == "Waiting"]
    assert waiting.page == f"/runs/{run.uid}/?ops=ready#timeline"
    assert len(picture.edges) == 2


def test_a_long_chain_is_drawn_in_bands(engine, monkeypatch) -> None:
    monkeypatch.setattr(graph, "MOST", 10)
    run = a.started_run(a.job(*(a.op(f"op_{n}", after=[f"op_{n - 1}"] if n else []) for n in range(60))))
    assert len(drawn(run).boxes) <= graph.BANDS + 2
