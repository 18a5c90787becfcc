"""The page of a job: its last runs, its pools, its graph, its launch; and what it says when something is missing."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import catalog
from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


def look(client: Client, name: str, status: int = 200) -> str:
    response = client.get(f"/jobs/{name}/")
    assert response.status_code == status
    return response.content.decode()


def panel(text: str, name: str) -> str:
    begin = text.index(f'id="{name}"')
    return text[begin : text.index("</section>", begin)]


def test_a_job_shows_its_last_runs_its_pools_and_its_graph(viewer: Client, definitions) -> None:
    a.pool("database", 2)
    a.workers(1)
    for _ in range(32):
        a.launched_run(definitions.jobs["copy_table"], values={"table": "x"})
    newest = Run.objects.latest("id")
    text = look(viewer, "copy_table")
    assert panel(text, "job-history").count("<li>") == 30
    assert f"/runs/{newest.uid}/" in panel(text, "job-history")
    assert "22 queued" in panel(text, "job-history")
    assert "/pools/database/" in panel(text, "job-pools")
    assert f'href="/runs/{newest.uid}/ops/' not in panel(text, "graph"), "a job of one op has no graph"
    assert 'href="/jobs/copy_table/launch/"' in text


def test_its_graph_leads_to_the_ops_of_its_newest_run(viewer: Client, definitions) -> None:
    assert "It has not run yet." in look(viewer, "pipeline")
    assert '<g class="nd ' in panel(look(viewer, "pipeline"), "graph")
    run = a.launched_run(definitions.jobs["pipeline"])
    assert f'href="/runs/{run.uid}/ops/load/"' in panel(look(viewer, "pipeline"), "graph")
    assert "None: only workers" in panel(look(viewer, "pipeline"), "job-pools")


def test_a_job_that_is_gone_says_so_as_long_as_there_are_runs_of_it(viewer: Client, busy: Run, monkeypatch) -> None:
    text = look(viewer, "job")
    assert "no job is called job any more" in text
    assert "It was renamed or removed" in text
    assert "/launch/" not in text[text.index("<main") :]
    assert f"/runs/{busy.uid}/" in panel(text, "job-history")
    look(viewer, "never_heard_of", 404)
    monkeypatch.setattr(catalog, "_loaded", catalog.load(["tests.web.broken", "tests.web.definitions"]))
    assert "tests/web/broken.py:6" in look(viewer, "job")


def test_it_takes_few_queries(viewer: Client, definitions) -> None:
    for _ in range(3):
        a.launched_run(definitions.jobs["copy_table"], values={"table": "x"})
    look(viewer, "copy_table")
    with CaptureQueriesContext(connection) as asked:
        look(viewer, "copy_table")
    assert len(asked) <= 8, [query["sql"] for query in asked]


def test_the_list_of_jobs_leads_to_it(viewer: Client, definitions) -> None:
    assert 'href="/jobs/pipeline/"' in viewer.get("/jobs/").content.decode()
