"""What an edit would do is said before it is saved, and when somebody else was first."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from django.test import Client

from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def line(engine, definitions) -> list[Run]:
    """Three at a pool of three, and four in its line; one worker is free."""
    a.workers(4)
    a.pool("db", 3)
    runs = [a.started_run(a.job(a.op("load", pool="db"))) for _ in range(7)]
    for op in a.in_state("admitted"):
        a.start(op)
    return runs


def said(client: Client, where: str, query: Mapping[str, str]) -> str:
    response = client.get(where, query, **HTMX)
    assert response.status_code == 200
    assert "<html" not in response.content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())).strip()


@pytest.mark.parametrize(
    ("limit", "effect"),
    [
        ("3", "3 slots in use, of 3; 4 in line wait."),
        ("4", "1 of the 4 in line starts now. 3 wait on."),
        ("6", "1 of the 4 in line starts now. 3 wait on, the first of them for queue default."),
        (
            "1",
            "3 slots in use now; 2 over the new limit come back as their holders end, "
            "nothing new starts until none is in use. 4 in line wait on.",
        ),
        ("0", "nothing new starts until it is raised. 4 in line wait on."),
    ],
)
def test_a_pool_says_what_another_limit_would_do(operator: Client, line: list[Run], limit: str, effect: str) -> None:
    assert effect in said(operator, "/pools/db/effect/", {"limit": limit})


def test_cells_over_the_new_limit_are_drawn_past_the_gate(operator: Client, line: list[Run]) -> None:
    drawn = operator.get("/pools/db/effect/", {"limit": "1"}, **HTMX).content.decode()
    assert drawn.count('class="held over"') == 2


def test_what_is_no_limit_is_said_beside_it(operator: Client, line: list[Run]) -> None:
    response = operator.get("/pools/db/effect/", {"limit": "many"}, **HTMX)
    assert response.status_code == 422
    assert "&#x27;many&#x27; is not allowed" in response.content.decode()
    assert operator.get("/pools/nobody/effect/", {"limit": "1"}, **HTMX).status_code == 404
    assert operator.get("/queue/limits/maximum/effect/", {"limit": "-3"}, **HTMX).status_code == 422
    assert operator.get("/queue/limits/rules/99/effect/", {"limit": "1"}, **HTMX).status_code == 404


def test_a_paused_pool_starts_nobody(operator: Client, line: list[Run]) -> None:
    operator.post("/pools/db/pause/")
    assert "It is paused: nobody starts before that ends." in said(operator, "/pools/db/effect/", {"limit": "9"})


def test_without_a_script_a_button_shows_the_effect_on_the_page(operator: Client, line: list[Run]) -> None:
    response = operator.post("/pools/db/limit/", {"limit": "4", "see": "yes"})
    assert (response.status_code, a.Pool.objects.get(name="db").limit) == (302, 3)
    text = operator.get(response["Location"]).content.decode()
    assert "1 of the 4 in line starts now." in text
    assert 'value="4" data-saved="3"' in text
    assert operator.get("/pools/db/effect/", {"limit": "4"})["Location"] == "/pools/db/?limit=4"
    response = operator.post("/queue/limits/maximum/", {"limit": "20", "see": "yes"})
    assert "Nobody is in line: nothing starts now." in operator.get(response["Location"]).content.decode()
    assert operator.get("/pools/db/?limit=many").status_code == 200


def test_who_was_second_is_shown_both_effects(operator: Client, line: list[Run]) -> None:
    version = a.Pool.objects.get(name="db").version
    a.pool("db", 2)
    response = operator.post("/pools/db/limit/", {"limit": "4", "version": version, "seen": "3"}, **HTMX)
    assert response.status_code == 409
    text = re.sub(r"<[^>]+>", "", response.content.decode())
    assert "With 23 slots in use, of 2; 4 in line wait." in text
    assert "With 41 of the 4 in line starts now." in text


def test_runs_that_wait_for_the_pools_of_their_first_ops_are_told_of(operator: Client, engine) -> None:
    a.sizing.set_check_at_queue(True, a.ADA)
    a.workers(4)
    a.pool("db", 0)
    a.launched_run(a.job(a.op("load", pool="db")))
    where = "/pools/db/effect/"
    assert said(operator, where, {"limit": "1"}).startswith(
        "If you save 1 queued run whose first ops need it starts now."
    )
    a.launched_run(a.job(a.op("load", pool="db")))
    assert "Queued runs whose first ops need it may start now." in said(operator, where, {"limit": "2"})
    a.pool("db", 2)
    assert len(a.in_state("admitted")) == 2


def test_the_run_queue_says_what_another_maximum_would_do(operator: Client, engine) -> None:
    for _ in range(12):
        a.launched_run()
    where = "/queue/limits/maximum/effect/"
    assert "1 of the 2 in line starts now. 1 waits on." in said(operator, where, {"limit": "11"})
    assert "2 of the 2 in line start now." in said(operator, where, {"limit": "-1"})
    lower = said(operator, where, {"limit": "8"})
    assert "10 runs in progress now; 2 over the new limit finish, nothing new starts until fewer than 8 are" in lower


def test_a_rule_says_what_another_limit_would_do(operator: Client, engine) -> None:
    rule = a.tag_rule("team", 1, "growth")
    for _ in range(3):
        a.launched_run(tags={"team": "growth"})
    assert "1 of the 2 in line starts now." in said(operator, f"/queue/limits/rules/{rule.pk}/effect/", {"limit": "2"})


def test_a_new_rule_says_whom_it_would_hold_back(operator: Client, engine) -> None:
    for number in range(12):
        a.launched_run(tags={"team": "growth" if number % 2 else "core", "tenant": str(number % 3)})
    where, rule = "/queue/limits/rules/effect/", {"key": "team", "value": "growth", "kind": "one", "limit": "3"}
    told = said(operator, where, rule)
    assert "It counts 5 of the 10 in progress; 2 over the limit finish, nobody is stopped." in told
    assert "It would hold back 1 of the 2 queued." in told
    each = said(operator, where, {"key": "tenant", "kind": "each", "limit": "4"})
    assert "It counts 10 of the 10 in progress. It would hold back 0 of the 2 queued." in each
    assert said(operator, where, {"key": "", "kind": "one", "limit": "3"}) == "", "it is not whole yet"


def test_an_effect_asks_little(operator: Client, line: list[Run], django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(8):
        operator.get("/pools/db/effect/", {"limit": "5"}, **HTMX)


def test_a_row_of_the_table_says_it_in_brief(operator: Client, line: list[Run]) -> None:
    assert 'hx-get="/pools/db/effect/?brief=yes"' in operator.get("/pools/").content.decode()
    where = "/pools/db/effect/"
    assert "1 of the 4 in line starts now. 3 wait on." in said(operator, where, {"limit": "4", "brief": "yes"})
    assert "<svg" not in operator.get(where, {"limit": "4", "brief": "yes"}, **HTMX).content.decode()
    assert said(operator, where, {"limit": "3", "brief": "yes"}) == "", "that is its limit"


@pytest.fixture
def on_default(engine) -> None:
    """The default limit is 1: `busy` has two in line, `quiet` none; `own` has a limit of its own."""
    a.sizing.set_default_limit(1, a.ADA)
    a.workers(9)
    a.pool("own", 1)
    for pool, number in (("busy", 3), ("quiet", 1), ("own", 2)):
        for _ in range(number):
            a.launched_run(a.job(a.op("load", pool=pool)))


@pytest.mark.parametrize(
    ("limit", "effect"),
    [
        ("2", "in the other one. busy 1 of the 2 in line starts now. 1 waits on."),
        ("", "in the other one. busy 2 of the 2 in line start now."),
        ("0", "busy 1 slot in use now; 1 over the new limit comes back when its holder ends, nothing new starts until"),
        ("1", "That is the default limit now."),
    ],
)
def test_the_default_limit_says_what_another_would_do_pool_by_pool(operator, on_default, limit, effect) -> None:
    told = said(operator, "/settings/default-limit/effect/", {"limit": limit})
    assert effect in told
    if limit != "1":
        assert "It is the limit of 2 pools, and of those that are named from now on." in told
    assert "own" not in told.split("named from now on.")[-1]
    before = a.in_use("pool:busy")
    operator.post("/settings/default-limit/", {"limit": limit})
    assert a.in_use("pool:busy") - before == {"2": 1, "": 2}.get(limit, 0)


def test_the_effect_of_a_default_limit_without_a_script(operator: Client, on_default: None) -> None:
    response = operator.post("/settings/default-limit/", {"limit": "2", "see": "yes"})
    assert response["Location"] == "/settings/?default=2#default-limit"
    text = operator.get(response["Location"]).content.decode()
    assert "1 of the 2 in line starts now." in text
    assert 'value="2" data-saved="1"' in text
    where = "/settings/default-limit/effect/"
    assert operator.get(where, {"limit": "2"})["Location"] == "/settings/?default=2"
    assert operator.get(where, {"limit": "-1"}, **HTMX).status_code == 422
    assert operator.get("/settings/?default=many").status_code == 200


def test_no_pool_on_the_default_limit(operator: Client, engine) -> None:
    a.pool("own", 1)
    told = said(operator, "/settings/default-limit/effect/", {"limit": "2"})
    assert "Every pool has a limit of its own" in told
