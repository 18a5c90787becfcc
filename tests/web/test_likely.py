"""When those in the line of a pool will likely start, on its page and before a limit is saved."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from tests import builders as a
from tests.store.test_estimates import launch, serve

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"headers": {"HX-Request": "true", "HX-Request-Type": "partial"}}
LIKELY = "/pools/db/likely/"


@pytest.fixture
def line(engine) -> None:
    """One slot, five in line; twelve have waited for it and held it for a minute."""
    a.run_limits.set_maximum(-1, a.ADA)
    a.workers(10)
    a.pool("db", 1)
    launch(19)
    serve(13)


def test_a_page_says_when_the_first_and_the_last_start(viewer: Client, line: None) -> None:
    text = viewer.get(LIKELY).content.decode()
    assert text.count("<h1") == 1
    assert text.count("≈ <time") == 3
    for place in ("1st", "2nd", "5th, the last"):
        assert f'<th scope="row">{place}</th>' in text
    assert "From the last 12 that waited for it and have given it back" in text
    assert "style=" not in text
    assert LIKELY in viewer.get("/pools/db/").content.decode()


def test_another_limit_stands_beside_it(viewer: Client, line: None) -> None:
    text = viewer.get(f"{LIKELY}?limit=4", **HTMX).content.decode()
    assert "<h1" not in text
    assert "At 1</th>" in text
    assert "At 4</th>" in text
    assert "Line empty by" in text
    assert text.count("at once") == 1, "the next, with three slots more"
    assert text.count("≈ <time") == 3
    more_than_workers = viewer.get(f"{LIKELY}?limit=40", **HTMX).content.decode()
    assert more_than_workers.count("not known") == 2


def test_an_edit_leads_to_it_before_it_is_saved(operator: Client, line: None) -> None:
    where = f'hx-get="{LIKELY}?limit=4"'
    assert where in operator.get("/pools/db/effect/", {"limit": "4"}, **HTMX).content.decode()
    assert where in operator.get("/pools/db/?limit=4").content.decode()
    for same_or_none in ("1", "0"):
        assert "/likely/" not in operator.get("/pools/db/effect/", {"limit": same_or_none}, **HTMX).content.decode()


def test_what_is_not_known_is_said(viewer: Client, engine: None) -> None:
    a.pool("db", 1)
    a.workers(5)
    launch(3)
    assert "Not known: Fewer than 10 are recorded that waited for it" in viewer.get(LIKELY).content.decode()
    assert viewer.get("/pools/nobody/likely/").status_code == 404
    answer = viewer.get(f"{LIKELY}?limit=many")
    assert answer.status_code == 400
    assert "&#x27;many&#x27; is not allowed" in answer.content.decode()


def test_it_takes_few_queries(viewer: Client, line: None, django_assert_max_num_queries) -> None:
    viewer.get(LIKELY, **HTMX)
    with django_assert_max_num_queries(8):
        viewer.get(LIKELY, **HTMX)


def test_why_an_op_waits_says_when_it_starts(viewer: Client, line: None) -> None:
    op = a.in_state("ready")[1]
    where = f"/runs/{op.run.uid}/ops/load/sooner/"
    text = viewer.get(where, **HTMX).content.decode()
    assert "Likely to start" in text
    assert "From the last 12 that waited for" in text
    assert "Likely to start" in viewer.get(where).content.decode()
    out = StringIO()
    call_command("why", op.run.uid, "load", stdout=out)
    assert "likely to start at 20" in out.getvalue()
    out = StringIO()
    call_command("why", op.run.uid, "load", "--json", stdout=out)
    assert json.loads(out.getvalue())["likely"]["from"] == 12
    a.pool("api", 0)
    launch(1, pool={"db": 1, "api": 1})
    both = a.in_state("ready")[-1]
    assert "Likely" not in viewer.get(f"/runs/{both.run.uid}/ops/load/sooner/", **HTMX).content.decode()


def test_a_pool_asks_again_when_its_line_has_changed(viewer: Client, line: None) -> None:
    def mark() -> str:
        found = re.search(
            r'data-sooner="/pools/db/likely/" data-mark="(\w+)"', viewer.get("/pools/db/").content.decode()
        )
        assert found
        return found[1]

    before = mark()
    assert mark() == before
    launch(1)
    assert mark() != before
