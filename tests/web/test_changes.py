"""Every change by the page: by those who may, versions checked, errors in words, with and without htmx."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from pools.models import Change, Pool, PoolSettings
from runs.models import Op, Run, RunQueue, TagRule
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}


def test_raising_a_limit_admits_at_once(operator: Client) -> None:
    a.pool("database", 1)
    a.workers(4)
    run = a.started_run(a.job(*[a.op(f"op_{n}", pool="database") for n in range(3)]))
    assert len(a.in_state("admitted", run)) == 1
    pool = Pool.objects.get(name="database")
    where = reverse("pool-limit", args=["database"])
    response = operator.post(where, {"limit": "3", "version": pool.version, "why": "catch up"}, headers=HTMX)
    assert response.status_code == 200
    assert "Limit of database is 3." in response.content.decode()
    assert len(a.in_state("admitted", run)) == 3
    change = Change.objects.latest("id")
    assert (change.who, change.door, change.subject, change.before, change.after, change.why) == (
        "ann", "page", "pool:database", "1", "3", "catch up",
    )  # fmt: skip


@pytest.mark.parametrize("htmx", [True, False])
def test_the_second_of_two_editors_is_told(operator: Client, htmx: bool) -> None:
    a.pool("database", 1)
    seen = Pool.objects.get(name="database").version
    a.sizing.set_limit("database", 5, a.Author("bob", "cli", "night shift"))
    where = reverse("pool-limit", args=["database"])
    response = operator.post(where, {"limit": "3", "version": seen}, headers=HTMX if htmx else {})
    text = response.content.decode()
    assert response.status_code == 409
    assert "bob" in text
    assert "night shift" in text
    assert "Set 3" in text
    assert Pool.objects.get(name="database").limit == 5
    if htmx:
        assert response["HX-Retarget"] == "#dialog"
        assert "<html" not in text
    now = Pool.objects.get(name="database").version
    assert f'name="version" value="{now}"' in text
    assert operator.post(where, {"limit": "3", "version": now}).status_code == 302
    assert Pool.objects.get(name="database").limit == 3


def test_the_same_value_twice_is_no_conflict(operator: Client) -> None:
    a.pool("database", 1)
    seen = Pool.objects.get(name="database").version
    a.pool("database", 5)
    response = operator.post(reverse("pool-limit", args=["database"]), {"limit": "5", "version": seen})
    assert response.status_code == 302


@pytest.mark.parametrize("limit", ["-1", "100001", "2.5", "two", "", "1e3"])
def test_a_bad_limit_is_refused_in_words(operator: Client, limit: str) -> None:
    a.pool("database", 1)
    response = operator.post(reverse("pool-limit", args=["database"]), {"limit": limit})
    assert response.status_code == 422
    assert "whole number from 0 to 100000" in response.content.decode()
    assert Pool.objects.get(name="database").limit == 1
    assert Change.objects.count() == 1


def test_a_viewer_changes_nothing(viewer: Client) -> None:
    a.pool("database", 1)
    run = a.queued_run()
    rule = a.tag_rule("team", 1)
    attempts = {
        reverse("pool-limit", args=["database"]): {"limit": "2"},
        reverse("pool-pause", args=["database"]): {},
        reverse("pool-delete", args=["database"]): {},
        reverse("pools"): {"name": "x", "limit": "1"},
        reverse("default-limit"): {"limit": "1"},
        reverse("queue-maximum"): {"limit": "7"},
        reverse("rules"): {"key": "k", "kind": "any", "limit": "1"},
        reverse("rule", args=[rule.pk]): {"limit": "5"},
        reverse("rule-delete", args=[rule.pk]): {},
        reverse("run-cancel", args=[run.uid]): {},
        reverse("run-priority", args=[run.uid]): {"priority": "3"},
        reverse("launch", args=["copy_table"]): {"params.table": "t"},
    }
    changes = Change.objects.count()
    for where, data in attempts.items():
        response = viewer.post(where, data)
        assert response.status_code == 403, where
        assert "operator role" in response.content.decode()
    assert Change.objects.count() == changes
    run.refresh_from_db()
    assert (run.state, run.priority, Run.objects.count()) == ("queued", 0, 1)
    page = viewer.get(reverse("launch", args=["copy_table"])).content.decode()
    assert "disabled" in page
    assert "operator role" in page


def test_a_change_without_a_token_is_refused(engine, definitions, operator: Client) -> None:
    a.pool("database", 1)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    response = strict.post(reverse("pool-limit", args=["database"]), {"limit": "2"})
    assert response.status_code == 403
    assert "out of date" in response.content.decode()
    assert Pool.objects.get(name="database").limit == 1


def test_pausing_keeps_the_limit_and_says_who_and_why(operator: Client) -> None:
    a.pool("database", 2)
    a.workers(2)
    operator.post(reverse("pool-pause", args=["database"]), {"why": "maintenance"})
    run = a.started_run(a.job(a.op("one", pool="database")))
    assert a.state_of(run) == "ready"
    page = operator.get(reverse("pool", args=["database"])).content.decode()
    assert "Paused by ann" in page
    assert "maintenance" in page
    assert "is paused" in operator.get(reverse("run", args=[run.uid])).content.decode()
    operator.post(reverse("pool-resume", args=["database"]))
    assert a.state_of(run) == "admitted"
    assert Pool.objects.get(name="database").limit == 2


def test_a_pool_is_created_described_and_deleted(operator: Client) -> None:
    assert operator.post(reverse("pools"), {"name": "api", "limit": "3"}).status_code == 302
    operator.post(reverse("pool-describe", args=["api"]), {"description": "Vendor asks for 3 calls at once"})
    assert "Vendor asks for 3 calls" in operator.get(reverse("pools")).content.decode()
    bad = operator.post(reverse("pools"), {"name": "white space", "limit": "3"})
    assert bad.status_code == 422
    assert "without white space" in bad.content.decode()
    assert 'value="white space"' in bad.content.decode(), "what was typed is kept"
    operator.post(reverse("pool-delete", args=["api"]))
    assert not Pool.objects.filter(name="api").exists()


def test_the_default_limit(operator: Client) -> None:
    a.workers(3)
    run = a.started_run(a.job(*[a.op(f"op_{n}", pool="shared") for n in range(3)]))
    assert len(a.in_state("admitted", run)) == 3
    operator.post(reverse("default-limit"), {"limit": "1", "version": "1"})
    assert PoolSettings.objects.get().default_limit == 1
    conflict = operator.post(reverse("default-limit"), {"limit": "9", "version": "1"})
    assert conflict.status_code == 409
    operator.post(reverse("default-limit"), {"limit": ""})
    assert PoolSettings.objects.get().default_limit is None


def test_the_run_queues_limits(operator: Client) -> None:
    operator.post(reverse("queue-maximum"), {"limit": "1", "version": "1"})
    first, second = a.launched_run(), a.launched_run()
    assert (first.state, second.state) == ("started", "queued")
    assert operator.post(reverse("queue-maximum"), {"limit": "4", "version": "1"}).status_code == 409
    assert operator.post(reverse("queue-maximum"), {"limit": "many"}).status_code == 422
    operator.post(reverse("queue-maximum"), {"limit": "-1"})
    assert RunQueue.objects.get().max_concurrent_runs is None
    second.refresh_from_db()
    assert second.state == "started"

    operator.post(reverse("rules"), {"key": "team", "kind": "each", "limit": "1"})
    rule = TagRule.objects.get()
    assert (rule.key, rule.value, rule.per_value, rule.limit) == ("team", None, True, 1)
    twice = operator.post(reverse("rules"), {"key": "team", "kind": "each", "limit": "2"})
    assert twice.status_code == 422
    assert "There is a rule for each team already: 1" in twice.content.decode()
    missing = operator.post(reverse("rules"), {"key": "team", "kind": "one", "limit": "2"})
    assert missing.status_code == 422
    assert operator.post(reverse("rule", args=[rule.pk]), {"limit": "-3"}).status_code == 422
    operator.post(reverse("rule", args=[rule.pk]), {"limit": "2", "version": rule.version})
    assert TagRule.objects.get().limit == 2
    assert operator.post(reverse("rule", args=[rule.pk]), {"limit": "3", "version": rule.version}).status_code == 409
    operator.post(reverse("rule-delete", args=[rule.pk]))
    assert not TagRule.objects.exists()


def test_a_run_is_canceled_once(operator: Client) -> None:
    run = a.queued_run()
    where = reverse("run-cancel", args=[run.uid])
    assert "is canceled" in operator.post(where, headers=HTMX).content.decode()
    run.refresh_from_db()
    assert (run.state, run.canceled_by) == ("canceled", "ann")
    assert "was canceled already" in operator.post(where, headers=HTMX).content.decode()


def test_a_priority_is_changed(operator: Client) -> None:
    run = a.queued_run()
    operator.post(reverse("run-priority", args=[run.uid]), {"priority": "7"})
    run.refresh_from_db()
    assert (run.priority, run.tags["dagster/priority"]) == (7, "7")
    assert operator.post(reverse("run-priority", args=[run.uid]), {"priority": "high"}).status_code == 422


def test_a_priority_is_undone_from_its_toast_unless_it_was_changed_since(operator: Client) -> None:
    run = a.queued_run()
    where = reverse("run-priority", args=[run.uid])

    def undo(html: str) -> dict[str, str]:
        toast = html[html.index('class="toast"') :]
        return dict(re.findall(r'<input type="hidden" name="(priority|seen)" value="([^"]*)"', toast))

    offered = undo(operator.post(where, {"priority": "7"}, headers=HTMX).content.decode())
    assert offered == {"priority": "0", "seen": "7"}
    assert not undo(operator.post(where, {"priority": "7"}, headers=HTMX).content.decode()), "nothing was changed"
    undone = operator.post(where, offered, headers=HTMX)
    assert 'hx-target="#run-actions"' in undone.content.decode()
    run.refresh_from_db()
    assert run.priority == 0
    refused = operator.post(where, offered, headers=HTMX)
    assert refused.status_code == 409
    assert "It is 0 now" in refused.content.decode()
    unread = operator.post(where, {"priority": "1", "seen": "a few"}, headers=HTMX)
    assert unread.status_code == 422
    assert "seen: &#x27;a few&#x27; is not allowed" in unread.content.decode()
    assert operator.post(where, {"priority": "1", "seen": "9" * 20}).status_code == 422
    run.refresh_from_db()
    assert run.priority == 0


def test_a_job_is_launched_from_its_form(operator: Client) -> None:
    where = reverse("launch", args=["copy_table"])
    form = operator.get(where).content.decode()
    for part in ('name="params.table"', 'value="10"', 'value="0.5"', "checked", "<option", "large"):
        assert part in form
    data = {"params.table": "users", "params.rows": "5", "params.share": "0.25", "params.size": "large"}
    response = operator.post(where, {**data, "tags": "tenant=x\nowner=me", "priority": "3"})
    run = Run.objects.get()
    assert response["Location"] == reverse("run", args=[run.uid])
    assert run.params == {"table": "users", "rows": 5, "share": 0.25, "full": False, "size": "large"}
    assert run.tags == {"team": "core", "tenant": "x", "owner": "me", "dagster/priority": "3"}
    assert (run.priority, run.launched_by, run.door) == (3, "ann", "page")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "Required."),
        ({"params.table": "t", "params.rows": "ten"}, "Input should be a valid integer"),
        ({"params.table": "t", "tags": "no equals sign"}, "write key=value"),
        ({"params.table": "t", "priority": "9999999999"}, "less than or equal to"),
        ({"params.table": "t", "params.size": "huge"}, "Input should be"),
    ],
)
def test_a_wrong_form_keeps_what_was_typed(operator: Client, data: dict, words: str) -> None:
    response = operator.post(reverse("launch", args=["copy_table"]), data)
    text = response.content.decode()
    assert response.status_code == 422
    assert words in text
    assert not Run.objects.exists()
    for value in data.values():
        assert value in text


def test_ticked_assets_are_launched_with_their_dependencies(operator: Client) -> None:
    form = operator.get(reverse("launch-assets") + "?select=report&select=orders").content.decode()
    assert "after orders" in form
    operator.post(reverse("launch-assets"), {"select": ["report", "orders"]})
    run = Run.objects.get()
    assert dict(Op.objects.filter(run=run).values_list("key", "waits_for")) == {"orders": 0, "report": 1}
    assert operator.get(reverse("launch-assets")).status_code == 302, "nothing is ticked"
    assert operator.get(reverse("launch-assets") + "?select=nothing").status_code == 302
