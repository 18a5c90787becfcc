"""Presets: a launch that is kept under a name, loaded by its address, changed by one at a time, and undone."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from pools.models import Change
from runs import presets
from runs.models import Preset, Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

COPY = reverse("launch", args=["copy_table"])
FILLED = {"params.table": "users", "params.rows": "5", "tags": "owner=me", "priority": "3"}


def saved(client: Client, name: str = "nightly", **more: str) -> Preset:
    answer = client.post(COPY, {**FILLED, "preset_name": name, "do": "save", **more})
    assert answer.status_code == 302, answer.content.decode()
    preset = Preset.objects.latest("id")
    assert answer["Location"].startswith(f"{COPY}?preset={preset.pk}")
    return preset


def test_what_is_filled_in_is_kept_and_loaded_by_its_address(operator: Client) -> None:
    preset = saved(operator)
    assert (preset.name, preset.saved_by) == ("nightly", "ann")
    assert not Run.objects.exists(), "nothing is launched by saving"
    page = operator.get(f"{COPY}?preset={preset.pk}").content.decode()
    assert "Preset nightly is saved." in page
    assert re.search(r'name="params.table" value="users"', page)
    assert re.search(r'name="priority" value="3"', page)
    assert "owner=me" in page
    assert "Filled in from the preset <b>nightly</b>" in page
    yaml = operator.get(f"{COPY}?preset={preset.pk}&as=yaml").content.decode()
    assert "  table: users\n  rows: 5\n" in yaml


def test_an_unfinished_launch_can_be_kept(operator: Client) -> None:
    preset = saved(operator, **{"params.table": ""})
    assert "table" not in preset.document["params"]


def test_enter_beside_a_name_saves_and_launches_nothing(operator: Client) -> None:
    assert operator.post(COPY, {**FILLED, "preset_name": "nightly"}).status_code == 302
    assert Preset.objects.filter(name="nightly").exists()
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nightly", "There is a preset nightly already, by ann: choose another name."),
        ("  ", "use a name of 1 to 60 characters"),
        ("x" * 61, "use a name of 1 to 60 characters"),
        ("a\x07b", "use a name of 1 to 60 characters"),
    ],
)
def test_a_name_is_used_once_and_is_a_name(operator: Client, name: str, said: str) -> None:
    saved(operator)
    answer = operator.post(COPY, {**FILLED, "params.rows": "77", "preset_name": name, "do": "save"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert re.search(r'id="preset-name"[^>]*aria-invalid="true"', page)
    assert 'value="77"' in page, "nothing that was typed is lost"
    assert Preset.objects.count() == 1


def test_the_same_name_may_be_used_by_another_job(operator: Client) -> None:
    saved(operator)
    answer = operator.post(reverse("launch", args=["pipeline"]), {"preset_name": "nightly", "do": "save"})
    assert answer.status_code == 302
    other = Preset.objects.get(job="pipeline")
    assert operator.get(f"{COPY}?preset={other.pk}").status_code == 404


def test_what_no_database_keeps_is_not_kept(operator: Client) -> None:
    answer = operator.post(COPY, {"text": 'params: {table: "a\\0b"}', "preset_name": "n", "do": "save"})
    assert answer.status_code == 422
    assert "this has a character that no database keeps" in answer.content.decode()


def test_a_preset_is_changed_by_one_at_a_time(operator: Client) -> None:
    preset = saved(operator)
    mine = {**FILLED, "preset": preset.pk, "preset_version": preset.version, "do": "update"}
    assert operator.post(COPY, {**mine, "params.rows": "6"}).status_code == 302
    preset.refresh_from_db()
    assert preset.document["params"]["rows"] == 6
    answer = operator.post(COPY, {**mine, "params.rows": "7"})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "ann changed it since you loaded it" in page
    assert 'value="7"' in page
    preset.refresh_from_db()
    assert preset.document["params"]["rows"] == 6


def test_a_preset_stays_loaded_while_its_launch_is_checked(operator: Client) -> None:
    preset = saved(operator)
    page = operator.post(COPY, {**FILLED, "preset": preset.pk, "preset_version": 1, "do": "check"}).content.decode()
    assert f'name="preset" value="{preset.pk}"' in page
    assert 'name="preset_version" value="1"' in page, "the version that was seen, not the one of now"


def test_each_change_says_who_made_it_and_can_be_undone(operator: Client) -> None:
    preset = saved(operator)
    operator.post(COPY, {**FILLED, "params.rows": "6", "preset": preset.pk, "do": "update"})
    answer = operator.post(reverse("preset-delete", args=["copy_table", preset.pk]))
    assert answer["Location"] == COPY
    assert not Preset.objects.exists()
    said = [(change.who, change.door, change.subject, change.field) for change in Change.objects.order_by("id")]
    about = ("ann", "page", "preset:copy_table: nightly")
    assert said == [(*about, "preset"), (*about, "preset"), (*about, "deleted")]
    page = operator.get(reverse("changes")).content.decode()
    assert "copy_table: nightly" in page
    assert "new preset" in page

    def undo() -> None:
        newest = Change.objects.latest("id")
        assert operator.get(reverse("change", args=[newest.pk])).status_code == 200
        assert operator.post(reverse("change-revert", args=[newest.pk])).status_code == 302

    undo()
    assert Preset.objects.get().document["params"]["rows"] == 6, "it is back"
    undo()
    assert not Preset.objects.exists()


def test_undoing_a_change_gives_back_what_was_held(operator: Client) -> None:
    preset = saved(operator)
    presets.change(preset, {"params": {}, "tags": {}, "priority": None}, a.ADA)
    newest = Change.objects.latest("id")
    assert operator.post(reverse("change-revert", args=[newest.pk])).status_code == 302
    preset.refresh_from_db()
    assert preset.document["params"]["rows"] == 5


def test_a_viewer_may_load_and_not_keep(operator: Client, viewer: Client) -> None:
    preset = saved(operator)
    page = viewer.get(f"{COPY}?preset={preset.pk}").content.decode()
    assert 'value="users"' in page
    assert "preset_name" not in page
    assert viewer.post(COPY, {**FILLED, "preset_name": "mine", "do": "save"}).status_code == 403
    assert viewer.post(reverse("preset-delete", args=["copy_table", preset.pk])).status_code == 403
    assert Preset.objects.count() == 1


@pytest.mark.parametrize("which", ["0", "999", "x", "9" * 20, "9" * 30])
def test_a_preset_that_is_not_there_is_said(operator: Client, which: str) -> None:
    assert operator.get(f"{COPY}?preset={which}").status_code == 404


def test_assets_that_are_ticked_have_presets_too(operator: Client) -> None:
    where = reverse("launch-assets")
    sent = {"select": ["orders", "report"], "tags": "owner=me", "preset_name": "both", "do": "save"}
    answer = operator.post(where, sent)
    preset = Preset.objects.get()
    assert answer["Location"] == f"{where}?preset={preset.pk}"
    page = operator.get(answer["Location"]).content.decode()
    assert "Launch 2 assets" in page
    assert "owner=me" in page
    assert page.count('name="select" value=') == 2
    operator.post(where, {"select": ["orders"], "preset": preset.pk, "do": "update"})
    assert Preset.objects.get().document["select"] == ["orders"]
    assert "assets: both" in operator.get(reverse("changes")).content.decode()
    answer = operator.post(reverse("preset-delete", args=[preset.job, preset.pk]))
    assert answer["Location"] == reverse("jobs")
    operator.post(reverse("change-revert", args=[Change.objects.latest("id").pk]))
    assert Preset.objects.get().document["select"] == ["orders"]
    assert operator.get(f"{where}?preset=999").status_code == 404


def test_a_preset_of_assets_that_are_gone_says_so(operator: Client) -> None:
    preset = presets.add("__ASSET_JOB", "old", {"params": {}, "tags": {}, "priority": None, "select": ["gone"]}, a.ADA)
    answer = operator.get(f"{reverse('launch-assets')}?preset={preset.pk}", follow=True)
    assert "there is no asset &#x27;gone&#x27;" in answer.content.decode()


def test_presets_are_found_by_name_and_what_can_be_launched_by_that_word(operator: Client) -> None:
    preset = saved(operator)
    operator.post(reverse("launch-assets"), {"select": ["orders"], "preset_name": "just orders", "do": "save"})
    link = f"{COPY}?preset={preset.pk}"
    for text in ("night", "launch copy", "launch night", "launch"):
        page = operator.get("/search/", {"q": text}, headers={"HX-Request": "true"}).content.decode()
        assert link in page, text
    assert "just orders" in page
    assert "Launch nightly" in page
    Preset.objects.filter(pk=preset.pk).update(job="is_not_offered")
    assert link not in operator.get("/search/", {"q": "night"}).content.decode()
