"""Every page: whole, guarded, read-only, within its budget of queries."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from controlplane.dashboard import screens
from pools import claims
from runs.models import Run
from tests import builders as a
from tests.web.conftest import address

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ["/", "/runs/", "/queue/", "/queue/limits/", "/jobs/", "/pools/", "/jobs/copy_table/launch/"]
PAGES += ["/launch/?select=orders&select=report", "/pools/database/", "/runs/UID/", "/runs/UID/ops/op_3/"]
PAGES += [
    "/search/",
    "/search/?q=op",
    "/runs/UID/logs/",
    "/jobs/copy_table/",
    "/jobs/job/",
    "/runs/UID/logs/?op=op_3&level=error&text=x",
]
PAGES += [
    "/changes/",
    "/changes/?subject=pool:database&before=2",
    "/changes/CHANGE/",
    "/settings/",
    "/audit/",
    "/workers/",
]


def test_a_page_is_whole(operator: Client, busy: Run) -> None:
    for where in PAGES:
        response = operator.get(address(where, busy))
        text = response.content.decode()
        assert response.status_code == 200, where
        assert text.count("<h1") == 1, where
        assert "</html>" in text, where
        assert "default-src 'none'" in response["Content-Security-Policy"], where
        assert "unsafe" not in response["Content-Security-Policy"], where
        assert not re.search(r"<[^>]+\s(style|on\w+|hx-on[^=]*)=", text), f"{where}: inline style or handler"
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), f"{where}: inline script"
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), f"{where}: an id stands twice"


def test_a_page_needs_a_login(engine, definitions, busy: Run) -> None:
    for where in PAGES:
        response = Client().get(address(where, busy))
        assert response.status_code == 302, where
        assert response["Location"].startswith(reverse("login")), where


def test_a_get_writes_nothing(operator: Client, busy: Run) -> None:
    def rows() -> dict[str, list]:
        ours = [model for app in ("pools", "runs") for model in apps.get_app_config(app).get_models()]
        return {model.__name__: list(model.objects.order_by("pk").values()) for model in ours}

    before = rows()
    for where in PAGES:
        operator.get(address(where, busy))
        assert rows() == before, where


@pytest.mark.parametrize(
    ("topic", "where"),
    [
        ("overview", "/"),
        ("pools", "/pools/"),
        ("pool:database", "/pools/database/"),
        ("pool-chart:database", "/pools/database/"),
        ("glance", "/"),
        ("queue", "/queue/"),
        ("job:copy_table", "/jobs/copy_table/"),
        ("limits", "/queue/limits/"),
        ("changes:", "/changes/"),
        ("changes:pool:database", "/changes/?subject=pool:database"),
        ("settings", "/settings/"),
        ("workers", "/workers/"),
    ],
)
def test_what_is_streamed_is_a_part_of_the_page(viewer: Client, busy: Run, topic: str, where: str) -> None:
    """For a reader without forms, the stream draws just what the page shows; times that count, and sparklines within
    what is drawn more often than they, aside."""

    def still(html: str) -> str:
        html = re.sub(r">\d+[\ddhms. ]*s</time>", "></time>", html)
        return html if topic == "glance" else re.sub(r'<span class="sp".*?</span>\n', "", html, flags=re.DOTALL)

    shown = still(viewer.get(where).content.decode())
    for block in screens.blocks_of(topic):
        drawn = still(block.draw())
        assert "csrf" not in drawn
        assert "<form" not in drawn
        assert f'id="{block.id}"' in drawn
        assert drawn in shown


def test_a_run_says_where_its_time_went(operator: Client, busy: Run) -> None:
    a.let_pass(90)
    text = operator.get(f"/runs/{busy.uid}/").content.decode()
    panel = text[text.index('id="time"') : text.index('id="log"')]
    for part in ("Ops running", "All its ops together", "Waiting", "/pools/database/"):
        assert part in panel, part
    assert "data-times" in panel, "what several ops do grows several times as fast"
    queued = Run.objects.filter(state="queued").first()
    text = operator.get(f"/runs/{queued.uid}/").content.decode()
    panel = text[text.index('id="time"') : text.index('id="log"')]
    assert "In the run queue" in panel
    assert "team=growth" in panel
    assert "All its ops together" not in panel


def test_the_icon_of_the_tab_tells_of_failures_that_need_a_person(operator: Client, engine) -> None:
    failed = a.running_op(a.op("broken"))
    assert 'href="/static/icon.svg" data-calm' in operator.get("/pools/").content.decode()
    a.fail(failed, "ValueError: it broke")
    text = operator.get("/pools/").content.decode()
    assert 'href="/static/icon-failed.svg" data-calm' in text
    assert 'id="count-failures">1</span>' in text
    Run.objects.update(retry_at=timezone.now())  # it executes itself again
    assert 'href="/static/icon.svg" data-calm' in operator.get("/pools/").content.decode()


def test_a_page_goes_over_the_wire_compressed(operator: Client, busy: Run) -> None:
    plain, small = operator.get("/"), operator.get("/", headers={"accept-encoding": "gzip, br"})
    assert small["Content-Encoding"] == "gzip"
    assert len(small.content) < len(plain.content) / 3


def test_an_unknown_address_is_said_in_plain_words(operator: Client) -> None:
    for page in (
        "/nowhere/",
        "/runs/0000/",
        "/pools/nobody/",
        "/jobs/none/launch/",
        "/queue/limits/rules/9/delete/",
        "/changes/0/",
    ):
        response = operator.post(page) if "delete" in page else operator.get(page)
        assert response.status_code == 404
        assert "There is nothing here." in response.content.decode()


def test_runs_are_found_by_state_job_and_tag(operator: Client, busy: Run) -> None:
    def names(query: str) -> int:
        return operator.get("/runs/" + query).content.decode().count('id="r-')

    assert names("") == 5
    assert names("?state=queued") == 2
    assert names("?state=failure") == 1
    assert names("?tag=team%3Dgrowth") == 3
    assert names("?tag=team") == 3
    assert names("?tag=team%3Dnone") == 0
    assert names("?job=job&state=progress") == 2
    assert names(f"?before={Run.objects.order_by('id')[1].pk}") == 1
    assert names("?before=nonsense") == 5


def test_a_definition_error_is_shown(operator: Client, monkeypatch) -> None:
    from runs import catalog

    monkeypatch.setattr(catalog, "_loaded", catalog.load(["tests.web.broken", "tests.web.definitions"]))
    text = operator.get("/jobs/").content.decode()
    assert "&#x27;white space&#x27; is not a pool&#x27;s name" in text
    assert "tests/web/broken.py:6" in text
    assert "copy_table" in text, "the other module is not stopped by it"
    assert "has a definition error" in operator.get("/").content.decode()


def test_a_long_pool_name_has_an_address(operator: Client) -> None:
    for name in ("a/b", "..", "ü:|,-x", "default", "100%", "~tilde", "limit"):
        a.pool(name, 1)
        where = reverse("pool", args=[name])
        assert operator.get(where).status_code == 200, name
        assert operator.post(reverse("pool-limit", args=[name]), {"limit": "2"}).status_code == 302, name
        assert a.Pool.objects.get(name=name).limit == 2


@pytest.mark.parametrize("where", ["/runs/?tag=a%00", "/runs/?job=a%00b", "/runs/?a%00=b"])
def test_a_nul_in_an_address_is_refused(operator: Client, where: str) -> None:
    """No database keeps it: PostgreSQL refuses the statement."""
    response = operator.get(where)
    assert response.status_code == 400
    assert "This request can" in response.content.decode()


def test_a_nul_in_a_form_is_refused(operator: Client) -> None:
    a.pool("database", 1)
    for field in ("why", "limit"):
        response = operator.post("/pools/database/limit/", {"limit": "2", field: "a\0b"})
        assert response.status_code == 400
    assert operator.post("/pools/database/description/", {"description": "a\0b"}).status_code == 400
    assert a.Pool.objects.get(name="database").limit == 1


def test_a_schema_that_is_behind_is_said(operator: Client) -> None:
    operator.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name, applied FROM django_migrations WHERE app = 'runs' ORDER BY id DESC LIMIT 1")
        row = cursor.fetchone()
        cursor.execute("DELETE FROM django_migrations WHERE app = %s AND name = %s", row[:2])
        cursor.execute("ALTER TABLE runs_run RENAME TO runs_run_of_old")
    try:
        response = operator.get("/runs/")
        assert response.status_code == 503
        assert "manage.py migrate" in response.content.decode()
        assert "default-src 'none'" in response["Content-Security-Policy"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE runs_run_of_old RENAME TO runs_run")
            cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", row)


def test_a_pool_says_for_whom_its_slots_are_kept(operator: Client, engine) -> None:
    a.workers(4)
    a.pool("database", 2)
    a.start(a.the_op(a.started_run(a.job(a.op("n", pool="database")))))
    wide = a.started_run(a.job(a.op("w", pool={"database": 2})))
    a.start(a.the_op(a.started_run(a.job(a.op("n", pool="database")))))
    assert claims.reserve(0.0) == f"op:{a.the_op(wide).pk}"
    text = operator.get("/pools/database/").content.decode()
    assert "2 slots are kept for" in text
    assert f"/runs/{wide.uid}/ops/w/" in text
