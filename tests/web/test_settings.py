"""Settings of the deployment on their page: edited by operators, versions checked, refusals in words."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from pools.models import Change, Pool, PoolSettings
from pools.sizing import Author
from runs import granularity, run_limits
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_installed")]

HTMX = {"HX-Request": "true"}
BOB = Author("bob", "cli", "night shift")

# address, what is posted, how it is read back, the value by then, what is in the fragment
EDITS = {
    "default limit": ("default-limit", {"limit": "4"}, "default_limit", 4, 'value="4"'),
    "granularity": ("default-granularity", {"granularity": "run"}, "granularity", "run", 'value="run" checked'),
    "run buffer": ("run-buffer", {"limit": "3"}, "run_buffer", 3, 'value="3"'),
    "pool check": ("check-at-queue", {"check": "off"}, "check_at_queue", False, 'value="off" checked'),
}


def settings() -> PoolSettings:
    return PoolSettings.objects.get()


@pytest.mark.parametrize("what", EDITS)
def test_a_setting_is_edited_and_recorded(operator: Client, what: str) -> None:
    where, data, field, value, shown = EDITS[what]
    answer = operator.post(reverse(where), {**data, "version": "1", "why": "a test"}, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in text
    assert shown in text
    assert "toast" in text
    assert getattr(settings(), field) == value
    change = Change.objects.get()
    assert (change.who, change.door, change.subject, change.why) == ("ann", "page", "pools", "a test")
    page = operator.get("/settings/").content.decode()
    assert shown in page
    assert "a test" in page, "the ledger stands beside it"
    assert operator.post(reverse(where), data).status_code == 302, "without htmx it goes back to the page"


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize("what", EDITS)
def test_the_second_of_two_editors_is_told(operator: Client, what: str, htmx: bool) -> None:
    where, data, field, value, _ = EDITS[what]
    a.sizing.set_default_limit(9, BOB)
    a.sizing.set_run_buffer(9, BOB)
    granularity.set_default("run", BOB)
    granularity.set_default("op", BOB)
    a.sizing.set_check_at_queue(False, BOB)
    a.sizing.set_check_at_queue(True, BOB)
    before = settings()
    answer = operator.post(reverse(where), {**data, "version": "1", "seen": "x"}, headers=HTMX if htmx else {})
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "was changed since you looked" in text
    assert "bob set it to" in text
    assert "night shift" in text
    assert settings() == before
    assert f'name="version" value="{before.version}"' in text
    again = operator.post(reverse(where), {**data, "version": before.version})
    assert again.status_code == 302
    assert getattr(settings(), field) == value


@pytest.mark.parametrize("what", EDITS)
def test_a_change_of_another_setting_is_no_conflict(operator: Client, what: str) -> None:
    """They share a version; who posts the value that was seen is refused only when that one was changed."""
    where, data, field, value, _ = EDITS[what]
    seen = {"default_limit": "none", "granularity": "op", "run_buffer": "0", "check_at_queue": "on"}[field]
    others = {
        "default_limit": lambda: a.sizing.set_default_limit(9, BOB),
        "granularity": lambda: granularity.set_default("run", BOB),
        "run_buffer": lambda: a.sizing.set_run_buffer(9, BOB),
        "check_at_queue": lambda: a.sizing.set_check_at_queue(False, BOB),
    }
    for name, change in others.items():
        if name != field:
            change()
    answer = operator.post(reverse(where), {**data, "version": "1", "seen": seen})
    assert answer.status_code == 302
    assert getattr(settings(), field) == value


@pytest.mark.parametrize(
    ("where", "data", "words"),
    [
        ("default-limit", {"limit": "-1"}, "whole number from 0 to 100000"),
        ("default-granularity", {"granularity": "both"}, "use op or run"),
        ("default-granularity", {}, "use op or run"),
        ("run-buffer", {"limit": "many"}, "whole number from 0 to 100000"),
        ("run-buffer", {"limit": ""}, "whole number from 0 to 100000"),
        ("check-at-queue", {"check": "maybe"}, "use on or off"),
    ],
)
def test_what_is_not_allowed_is_said_and_changes_nothing(operator: Client, where: str, data: dict, words: str) -> None:
    answer = operator.post(reverse(where), data, headers=HTMX)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("where", "data"),
    [
        (reverse("default-granularity"), {"granularity": "run"}),
        (reverse("pool-granularity", args=["database"]), {"granularity": "run"}),
    ],
)
def test_a_switch_that_would_deadlock_is_refused_in_a_dialog(operator: Client, monkeypatch, where, data) -> None:
    a.pool("database", 1)

    def refuse(*arguments: object) -> None:
        raise granularity.WouldDeadlock("copy_table 1a and 2b would wait for each other.")

    monkeypatch.setattr(granularity, "refuse_deadlock", refuse)
    answer = operator.post(where, data, headers=HTMX)
    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#dialog"
    assert "copy_table 1a and 2b would wait for each other." in answer.content.decode()
    assert Change.objects.count() == 1


def test_a_pools_granularity_is_edited_on_its_page(operator: Client) -> None:
    a.pool("database", 1)
    where = reverse("pool-granularity", args=["database"])
    page = operator.get("/pools/database/").content.decode()
    assert "Granularity op, by default" in page
    assert 'value="default" checked' in page
    version = Pool.objects.get().version
    assert operator.post(where, {"granularity": "run", "version": version}, headers=HTMX).status_code == 200
    assert Pool.objects.get().granularity == "run"
    assert "Granularity run" in operator.get("/pools/database/").content.decode()
    conflict = operator.post(where, {"granularity": "op", "version": version, "seen": "default"}, headers=HTMX)
    assert conflict.status_code == 409
    assert "ann set it to" in conflict.content.decode()
    assert operator.post(where, {"granularity": "default"}).status_code == 302
    assert Pool.objects.get().granularity == ""
    assert operator.post(where, {"granularity": "each"}).status_code == 422
    assert operator.post(reverse("pool-granularity", args=["nobody"]), {"granularity": "op"}).status_code == 404


def test_the_run_queues_limits_are_edited_there_too(operator: Client) -> None:
    a.tag_rule("team", 1, "growth")
    page = operator.get("/settings/").content.decode()
    for part in (reverse("queue-maximum"), reverse("rules"), "team=growth", 'value="10"', "Run buffer"):
        assert part in page
    operator.post(reverse("queue-maximum"), {"limit": "-1", "version": "1", "seen": "10"})
    assert "new → 1" in page
    assert "maximum 10 → none" in operator.get("/settings/").content.decode()


def test_a_viewer_sees_values_and_why_the_controls_are_closed(viewer: Client) -> None:
    a.sizing.set_default_limit(4, a.ADA)
    run_limits.set_maximum(7, a.ADA)
    a.pool("database", 1)
    page = viewer.get("/settings/").content.decode()
    assert 'value="4"' in page
    assert 'value="7"' in page
    assert "Changing them needs the operator role." in page
    assert page.count('disabled title="This needs the operator role"') == 5
    changes = Change.objects.count()
    posts = {where: data for where, data, *_ in EDITS.values()}
    for where, data in posts.items():
        answer = viewer.post(reverse(where), data, headers=HTMX)
        assert answer.status_code == 403
        assert answer["HX-Retarget"] == "#dialog"
        assert "operator role" in answer.content.decode()
    assert viewer.post(reverse("pool-granularity", args=["database"]), {"granularity": "run"}).status_code == 403
    assert Change.objects.count() == changes


@pytest.mark.parametrize(("address", "title"), [("settings-rules", "Settings"), ("rules", "Run limits")])
def test_a_rule_that_is_refused_comes_back_on_the_page_it_was_written_on(
    operator: Client, address: str, title: str
) -> None:
    written = {"key": "team", "kind": "one", "value": "", "limit": "7", "why": "a busy week"}
    answer = operator.post(reverse(address), written)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert f"<h1>{title}</h1>" in text
    assert "Write the value that is counted" in text
    for kept in ('value="team"', 'value="7"', 'value="a busy week"'):
        assert kept in text
    assert f'action="{reverse(address)}#add-rule"' in text
    assert operator.post(reverse(address), {**written, "value": "growth"}).status_code == 302
    assert operator.get(reverse(address)).status_code == 405


def test_without_a_script_who_adds_a_rule_in_settings_stays_there(operator: Client) -> None:
    answer = operator.post(reverse("settings-rules"), {"key": "team", "kind": "any", "limit": "1"})
    assert answer["Location"] == reverse("settings")
