"""The change ledger on the pages, and undoing a change from them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from controlplane.dashboard import screens
from pools.models import Change, Pool
from pools.sizing import Author
from runs import granularity, run_limits
from runs.models import TagRule
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_installed")]

HTMX = {"HX-Request": "true"}


def latest() -> Change:
    return Change.objects.latest("id")


def undo(client: Client, change: Change, htmx: bool = True, **data: str):
    return client.post(reverse("change-revert", args=[change.pk]), data, headers=HTMX if htmx else {})


def test_before_any_change_the_ledger_says_so(operator: Client) -> None:
    assert "No change yet." in operator.get("/changes/").content.decode()
    assert "No change matches" in operator.get("/changes/?subject=pool:x").content.decode()


def test_every_change_is_shown_with_who_from_to_why_and_door(operator: Client) -> None:
    a.sizing.set_limit("database", 1, Author("bob", "cli", "night shift"))
    a.sizing.set_limit("database", 4, Author("bob", "file"))
    a.sizing.pause("database", Author("eve", "page", "maintenance"))
    a.sizing.describe("database", "the main one", a.ADA)
    a.tag_rule("team", 3, "growth")
    run_limits.delete_rule(TagRule.objects.get().pk, a.ADA)
    granularity.set_default("run", a.ADA)
    a.sizing.delete("database", a.ADA)
    text = operator.get("/changes/").content.decode()
    for part in (
        "none → 1", "1 → 4", "bob", "night shift", "cli", "file", "paused", "eve", "maintenance", "described",
        "new → 3", "deleted, was 3", "deleted, was 4", "op → run", "team=growth", 'href="/pools/database/"',
        'href="/settings/"',
    ):  # fmt: skip
        assert part in text, part


def test_the_ledger_is_filtered_and_read_page_by_page(operator: Client) -> None:
    for number in range(1, 61):
        a.pool("database", number)
    a.pool("api", 1)
    first = operator.get("/changes/").content.decode()
    assert first.count('id="c-') == 50
    assert "Newest changes" not in first
    oldest = Change.objects.order_by("-id")[49].pk
    where = f"/changes/?before={oldest}"
    assert where in first
    second = operator.get(where).content.decode()
    assert second.count('id="c-') == 11
    assert "Older changes" not in second
    assert 'id="stream"' not in second, "a further page stands still"
    assert operator.get("/changes/?subject=pool:api").content.decode().count('id="c-') == 1
    assert operator.get("/changes/?subject=pool:").content.decode().count('id="c-') == 50
    assert operator.get("/changes/?before=nonsense").status_code == 200


def test_the_ledger_is_drawn_again_only_when_something_was_changed() -> None:
    assert screens.is_touched("changes:pool:database", {"changes"})
    assert not screens.is_touched("changes:", {"gate:pool:database", "runs"})
    assert screens.is_touched("settings", {"changes"})


def test_only_the_newest_change_of_a_thing_offers_to_be_undone(operator: Client) -> None:
    a.pool("database", 1)
    old = latest()
    a.pool("database", 2)
    new = latest()
    for where in ("/changes/", "/pools/database/"):
        text = operator.get(where).content.decode()
        assert reverse("change", args=[new.pk]) in text
        assert reverse("change", args=[old.pk]) not in text
    text = operator.get(reverse("change", args=[old.pk])).content.decode()
    assert "something newer was written about the same" in text
    assert reverse("change-revert", args=[old.pk]) not in text


@pytest.mark.parametrize("htmx", [True, False])
def test_a_change_is_undone_with_a_reason(operator: Client, htmx: bool) -> None:
    a.pool("database", 1)
    a.sizing.set_limit("database", 4, Author("bob", "cli", "night shift"))
    change = latest()
    asked = operator.get(reverse("change", args=[change.pk]), headers=HTMX if htmx else {})
    text = asked.content.decode()
    assert ("<html" in text) is not htmx
    assert "1 → 4" in text
    assert "The limit of database is 1 again." in text
    answer = undo(operator, change, htmx, why="too fast")
    made = latest()
    if htmx:
        assert f"Change {change.pk} is undone by change {made.pk}." in answer.content.decode()
    else:
        assert answer["Location"] == reverse("changes")
        assert f"Change {change.pk} is undone" in operator.get("/changes/").content.decode()
    assert (Pool.objects.get().limit, made.who, made.door) == (1, "ann", "page")
    assert made.why == f"reverts change {change.pk}: too fast"


@pytest.mark.parametrize("htmx", [True, False])
def test_an_undo_is_refused_with_the_newer_change(operator: Client, htmx: bool) -> None:
    a.pool("database", 1)
    change = latest()
    a.sizing.set_limit("database", 9, Author("bob", "cli", "night shift"))
    answer = undo(operator, change, htmx)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Undo refused" in text
    assert "night shift" in text
    assert "1 → 9" in text
    assert ("<html" in text) is not htmx
    assert Pool.objects.get().limit == 9


def test_an_undo_that_would_deadlock_or_has_nothing_to_say_is_refused_in_words(operator: Client, monkeypatch) -> None:
    granularity.set_for_pool("database", "run", a.ADA)
    change = latest()

    def refuse(*arguments: object) -> None:
        raise granularity.WouldDeadlock("copy_table 1a and 2b would wait for each other.")

    monkeypatch.setattr(granularity, "refuse_deadlock", refuse)
    answer = undo(operator, change)
    assert answer.status_code == 409
    assert "would wait for each other" in answer.content.decode()
    a.tag_rule("team", 1)
    Change.objects.update(detail={})
    answer = undo(operator, latest())
    assert answer.status_code == 409
    assert "does not say enough" in answer.content.decode()
    assert undo(operator, Change(pk=0)).status_code == 404


def test_a_viewer_reads_the_ledger_and_undoes_nothing(viewer: Client) -> None:
    a.pool("database", 1)
    change = latest()
    text = viewer.get(reverse("change", args=[change.pk])).content.decode()
    assert 'disabled title="This needs the operator role"' in text
    answer = undo(viewer, change)
    assert answer.status_code == 403
    assert "operator role" in answer.content.decode()
    assert Pool.objects.get().limit == 1


def test_what_an_undo_does_is_said_for_every_kind(operator: Client) -> None:
    words = []

    def said() -> None:
        text = operator.get(reverse("change", args=[latest().pk]), headers=HTMX).content.decode()
        words.append(text)

    a.pool("database", 2)
    said()
    a.sizing.describe("database", "it", a.ADA)
    said()
    a.sizing.pause("database", a.ADA)
    said()
    a.sizing.resume("database", a.ADA)
    said()
    granularity.set_for_pool("database", "run", a.ADA)
    said()
    a.sizing.delete("database", a.ADA)
    said()
    a.tag_rule("team", 1)
    said()
    run_limits.delete_rule(TagRule.objects.get().pk, a.ADA)
    said()
    run_limits.set_maximum(-1, a.ADA)
    said()
    a.sizing.set_check_at_queue(False, a.ADA)
    said()
    expected = [
        "database takes the default limit again.",
        "database has no description again.",
        "database is open again",
        "database is paused again",
        "database takes the granularity of all pools again.",
        "database gets back its limit of 2, its description, its granularity run.",
        "The run limit team goes.",
        "The run limit team of 1 is in force again.",
        "The maximum is 10 again.",
        "The pool check at the queue is on again.",
    ]
    for text, sentence in zip(words, expected, strict=True):
        assert sentence in text


def test_an_undo_on_an_older_page_is_shown_there(operator: Client) -> None:
    a.pool("api", 3)
    change = latest()
    for number in range(1, 60):
        a.pool("database", number)
    older = f"/changes/?before={change.pk + 5}"
    page = operator.get(older).content.decode()
    asked = reverse("change", args=[change.pk]) + "?from=/changes/%3Fbefore%3D"
    assert asked in page
    where = f"{reverse('change', args=[change.pk])}?from={quote(older)}"
    dialog = operator.get(where, headers=HTMX).content.decode()
    assert f'name="from" value="{older}"' in dialog
    answer = undo(operator, change, **{"from": older}).content.decode()
    assert 'hx-target="#changes"' in answer
    assert f'id="c-{change.pk}"' in answer
    assert reverse("change", args=[change.pk]) not in answer, "it can't be undone any more"
    assert answer.count('id="c-') == operator.get(older).content.decode().count('id="c-')


def test_without_a_script_an_undo_leads_back_to_where_it_was_asked_for(operator: Client) -> None:
    for start in ("/changes/?subject=pool:&before=99", "/pools/api/", "/settings/"):
        a.pool("api", latest().pk + 1 if Change.objects.exists() else 1)
        assert undo(operator, latest(), htmx=False, **{"from": start})["Location"] == start
    a.pool("api", 99)
    assert undo(operator, latest(), htmx=False, **{"from": "https://elsewhere.example/"})["Location"] == "/changes/"
    a.pool("api", 100)
    page = operator.get("/pools/api/").content.decode()
    assert f"{reverse('change', args=[latest().pk])}?from=/pools/api/" in page


@pytest.mark.parametrize(
    ("where", "data"),
    [
        ("/pools/database/limit/", {"limit": "5"}),
        ("/pools/database/pause/", {"why": "maintenance"}),
        ("/pools/database/granularity/", {"granularity": "run"}),
        ("/queue/limits/maximum/", {"limit": "5"}),
        ("/settings/default-limit/", {"limit": "5"}),
        ("/settings/check-at-queue/", {"check": "off"}),
    ],
)
def test_whoever_changes_a_limit_is_offered_to_undo_it(operator: Client, where: str, data: dict[str, str]) -> None:
    a.pool("database", 1)
    before = latest()
    toast = operator.post(where, data, headers=HTMX).content.decode()
    change = latest()
    assert change.pk > before.pk
    assert f'action="{reverse("change-revert", args=[change.pk])}"' in toast
    assert "csrfmiddlewaretoken" in toast
    again = operator.post(where, data, headers=HTMX).content.decode()
    assert "change-revert" not in again, "nothing was changed, so there is nothing to undo"
    assert "data-undo" not in again
    undone = undo(operator, change).content.decode()
    assert "is undone by change" in undone
    assert "data-undo" not in undone


def test_without_a_script_the_next_page_offers_the_undo(operator: Client) -> None:
    a.pool("database", 1)
    operator.post("/pools/database/limit/", {"limit": "5"}, headers={"referer": "http://testserver/pools/"})
    text = operator.get("/pools/").content.decode()
    assert f'action="{reverse("change-revert", args=[latest().pk])}"' in text
    assert '<input type="hidden" name="from" value="/pools/">' in text
    assert undo(operator, latest(), htmx=False, **{"from": "/pools/"})["Location"] == "/pools/"
    assert "data-undo" not in operator.get("/pools/").content.decode(), "an undo is not undone by a button"
    assert Pool.objects.get().limit == 1


def test_a_rule_that_comes_or_goes_by_an_undo_draws_the_page_anew(operator: Client) -> None:
    a.tag_rule("team", 3)
    answer = undo(operator, latest())
    assert answer["HX-Refresh"] == "true"
    assert "is undone by change" in operator.get("/queue/limits/").content.decode()
    assert not TagRule.objects.exists()
