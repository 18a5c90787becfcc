"""The launch page: a form and the same as YAML; what is filled in is kept, what is wrong is said at its place."""

from __future__ import annotations

import json
import re
from html import unescape
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from runs.models import Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}
EVERYTHING = reverse("launch", args=["everything"])
COPY = reverse("launch", args=["copy_table"])


def text_of(client: Client, where: str, status: int = 200, **posted: str) -> str:
    answer = client.post(where, posted) if posted else client.get(where)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return answer.content.decode()


def yaml_in(page: str) -> str:
    """What stands in the text area of the YAML tab."""
    found = re.search(r'<textarea name="text"[^>]*>\n?(.*?)</textarea>', page, re.S)
    assert found, "there is no YAML tab"
    return unescape(found[1])


def errors_in(page: str) -> list[str]:
    return [unescape(text) for text in re.findall(r'class="wrong"[^>]*>([^<]*)<', page)]


FILLED = {"params.name": "n", "params.source.table": "orders", "params.source.rows": "9", "params.columns": "id\nname"}


def test_params_of_every_kind_are_launched_from_the_form(operator: Client) -> None:
    given = {"params.mirror:given": "on", "params.mirror.table": "copy", "params.mirror.rows": "3"}
    answer = operator.post(EVERYTHING, {**FILLED, **given, "params.weights": "a = 0.5", "params.sizes": ["large"]})
    run = Run.objects.get()
    assert answer["Location"] == reverse("run", args=[run.uid])
    assert run.params["source"] == {"table": "orders", "rows": 9}
    assert run.params["mirror"] == {"table": "copy", "rows": 3}
    assert run.params["columns"] == ["id", "name"]
    assert (run.params["weights"], run.params["sizes"]) == ({"a": 0.5}, ["large"])


def test_an_error_in_a_group_stands_at_its_field_and_nothing_that_was_typed_is_lost(operator: Client) -> None:
    page = text_of(operator, EVERYTHING, 422, **{**FILLED, "params.source.rows": "999", "params.anything": "{"})
    assert 'aria-invalid="true"' in page
    rows = page[page.index('id="id_params.source.rows"') :]
    assert "less than or equal to 100 (got 999)" in rows[: rows.index("</div>")]
    assert len(errors_in(page)) == 2, "all that is wrong is said at once"
    for value in ("orders", "999", "id\nname", "{"):
        assert value in page
    assert not Run.objects.exists()


def test_enter_in_a_field_launches(operator: Client) -> None:
    """A browser presses the first button of the form, wherever it stands."""
    first = re.search(r'<button[^>]*form="launch"[^>]*>', text_of(operator, COPY))
    assert first
    assert "name=" not in first[0]


# --- YAML ---------------------------------------------------------------------------------------------


def test_what_is_filled_in_goes_to_yaml_and_back(operator: Client) -> None:
    typed = {**FILLED, "tags": "team=growth", "priority": "4", "do": "yaml"}
    text = yaml_in(text_of(operator, EVERYTHING, **typed))
    assert "    table: orders\n    rows: 9\n" in text
    assert "tags:\n  team: growth\npriority: 4\n" in text
    assert "  # What it is called\n  name: n\n" in text
    page = text_of(operator, EVERYTHING, text=text.replace("rows: 9", "rows: 11"), do="form")
    assert re.search(r'name="params.source.rows" value="11"', page)
    assert re.search(r'name="priority" value="4"', page)
    assert "team=growth" in page


def test_a_document_is_launched(operator: Client) -> None:
    text = "params:\n  table: users\n  full: false\ntags: {team: 7}\npriority: 2\n"
    operator.post(COPY, {"text": text})
    run = Run.objects.get()
    assert run.params == {"table": "users", "rows": 10, "share": 0.5, "full": False, "size": "small"}
    assert (run.tags["team"], run.priority) == ("7", 2)


def test_the_yaml_tab_has_an_address_and_shows_what_can_be_given(operator: Client) -> None:
    text = yaml_in(text_of(operator, f"{COPY}?as=yaml"))
    assert "  # table: required\n  # rows: 10\n" in text
    assert "tags: {}\npriority:" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params:\n  table: t\n  rows: many", "params.rows: Input should be a valid integer"),
        ("params: {}", "params.table: required"),
        ("params: {table: t, tabel: u}", "params.tabel: unknown; this job takes table, rows"),
        ("params: [1]", "params: [1] is not allowed: use a mapping."),
        ("parms: {}", "parms: unknown; there are params, tags, priority."),
        ("priority: high", "priority: 'high' is not allowed: use a whole number"),
        ("tags: {team: [1]}\nparams: {table: t}", "tags: run: tag team: [1] is not allowed"),
        ("a: {", "YAML: line 1, column 5"),
        ("text", "YAML: 'text' is not allowed: use a mapping"),
        ("priority: 1\ntags: {dagster/priority: 2}\nparams: {table: t}", "priority: it is given twice"),
        ("params: {table: &x a, rows: *x}", "an alias is not allowed"),
        ("", "params.table: required"),
    ],
)
def test_a_wrong_document_is_refused_with_the_path(operator: Client, text: str, said: str) -> None:
    page = text_of(operator, COPY, 422, text=text)
    assert any(error.startswith(said) or said in error for error in errors_in(page)), errors_in(page)
    assert yaml_in(page) == text
    assert not Run.objects.exists()


def test_an_error_in_yaml_names_the_whole_path(operator: Client) -> None:
    text = "params:\n  name: n\n  source: {table: t, rows: 0}\n  columns: [a, 2]\n"
    (first, second) = errors_in(text_of(operator, EVERYTHING, 422, text=text))
    assert first.startswith("params.source.rows: Input should be greater than or equal to 1")
    assert second.startswith("params.columns[1]: Input should be a valid string")


def test_what_can_not_be_read_stays_in_its_tab(operator: Client) -> None:
    page = text_of(operator, EVERYTHING, 422, **{**FILLED, "params.weights": "no entry", "do": "yaml"})
    assert "Line 1: 'no entry' is not allowed" in errors_in(page)[0]
    assert yaml_in(text_of(operator, EVERYTHING, 422, text="a: [", do="form")) == "a: ["


def test_a_value_of_another_type_goes_from_yaml_to_the_form_and_is_refused_there(operator: Client) -> None:
    page = text_of(operator, COPY, text="params: {table: t, rows: [1]}", do="form")
    assert 'name="params.rows:yaml"' in page
    page = text_of(operator, COPY, 422, **{"params.table": "t", "params.rows:yaml": "[1]"})
    assert "valid integer" in errors_in(page)[0]


# --- from an earlier run ------------------------------------------------------------------------------


def test_a_run_is_launched_again_with_changes(operator: Client) -> None:
    text_of(
        operator, COPY, 302, **{"params.table": "users", "params.size": "large", "tags": "owner=me", "priority": "3"}
    )
    run = Run.objects.get()
    page = text_of(operator, reverse("run", args=[run.uid]))
    where = f"{COPY}?from={run.uid}"
    assert f'href="{where}"' in page
    page = text_of(operator, where)
    assert re.search(r'name="params.table" value="users"', page)
    assert '<option value="large" selected>' in page
    assert re.search(r'name="priority" value="3"', page)
    assert "owner=me" in page
    assert "team=core" not in page[page.index('name="tags"') : page.index('name="priority"')], "the job adds it itself"
    assert 'name="params.full" ' in page
    assert "checked" not in page[page.index('name="params.full"') :].partition(">")[0]


def test_assets_are_launched_again(operator: Client) -> None:
    operator.post(reverse("launch-assets"), {"select": ["orders", "report"], "tags": "owner=me"})
    run = Run.objects.get()
    page = text_of(operator, f"{reverse('launch-assets')}?from={run.uid}")
    assert "Launch 2 assets" in page
    assert "owner=me" in page


def _sent_back(page: str) -> str:
    found = re.search(r'name="from" value="(\w+)"', page)
    assert found
    return found[1]


def test_a_run_knows_from_which_run_its_launch_was_filled_in(operator: Client) -> None:
    filled = {"params.table": "users", "params.rows": "5"}
    text_of(operator, COPY, 302, **filled)
    first = Run.objects.get()
    assert first.source is None
    sent = {**filled, "from": _sent_back(text_of(operator, f"{COPY}?from={first.uid}"))}
    yaml = text_of(operator, COPY, **sent, do="yaml")
    assert _sent_back(yaml) == first.uid, "the other tab knows it too"
    text_of(operator, COPY, 302, **{**sent, "params.rows": "6"})
    run = Run.objects.latest("id")
    assert (run.source, run.parent, run.params["rows"]) == (first, None, 6)
    new, old = (text_of(operator, f"/runs/{each.uid}/") for each in (run, first))
    assert f'Launched from</span> <a class="relative" href="/runs/{first.uid}/"' in new
    assert f'Launched from it</span> <a class="relative" href="/runs/{run.uid}/"' in old
    out = StringIO()
    call_command("runs", "show", run.uid, "--json", stdout=out)
    assert json.loads(out.getvalue())["source"] == first.uid


def test_a_launch_goes_on_when_the_run_it_was_filled_in_from_has_been_removed(operator: Client) -> None:
    filled = {"params.table": "users", "params.rows": "5"}
    for sent in ("0" * 32, "nonsense", a.launched_run().uid):
        text_of(operator, COPY, 302, **filled, **{"from": sent})
        assert Run.objects.latest("id").source is None


def test_a_run_of_another_job_or_none_is_no_source(operator: Client) -> None:
    run = a.launched_run()
    text_of(operator, f"{COPY}?from={run.uid}", 404)
    text_of(operator, f"{COPY}?from=nobody", 404)
    assert "Launch again" not in text_of(operator, reverse("run", args=[run.uid])), "its job is not offered"


def test_params_that_a_job_does_not_take_any_more_are_named(operator: Client) -> None:
    run = a.launched_run(tags={"a": "b"})
    Run.objects.filter(pk=run.pk).update(job="copy_table", params={"table": "t", "gone": 1})
    page = text_of(operator, f"{COPY}?from={run.uid}")
    assert re.search(r'without <span class="mono">gone</span>, which the job does not take any more', page)


def test_params_are_shown_as_they_are_written(operator: Client) -> None:
    text_of(operator, EVERYTHING, 302, **{**FILLED, "params.maybe": "", "params.anything": "{a: [1, true]}"})
    page = text_of(operator, reverse("run", args=[Run.objects.get().uid]))
    shown = dict(re.findall(r'<dt class="mono">(\w+)</dt><dd class="mono">([^<]*)</dd>', page))
    assert shown["maybe"] == "null"
    assert shown["name"] == "n"
    assert shown["columns"] == "- id\n- name"
    assert shown["source"] in ("table: orders\nrows: 9", "rows: 9\ntable: orders")
    assert shown["anything"] == "a:\n- 1\n- true"


# --- what will limit it -------------------------------------------------------------------------------


def limits_in(page: str) -> str:
    return re.sub(
        r"\s+",
        " ",
        re.sub(r"<[^>]*>", " ", page[page.index('id="limits"') : page.index("</section>", page.index('id="limits"'))]),
    )


def test_the_limits_of_a_run_are_shown_as_they_stand(operator: Client, busy: Run) -> None:
    text = limits_in(text_of(operator, COPY))
    assert "The run would start at once." in text
    assert "Pool database 1 / 1 Is full: 1 of 1 in use. 3 waiting now. For copy." in text
    assert "Queue default" in text


def test_the_limits_follow_the_tags(operator: Client, busy: Run) -> None:
    answer = operator.get(COPY, {"tags": "team=growth\ntenant=new", "priority": "1"}, headers=HTMX)
    page = answer.content.decode()
    assert "<html" not in page
    text = limits_in(page)
    assert "The run would wait in the run queue: Run limit team=growth is full: 1 of 1 in use" in text
    assert "Run limit tenant=new 0 / 2" in text, "a value that no run has had yet"
    assert text in limits_in(text_of(operator, f"{COPY}?tags=team%3Dgrowth%0Atenant%3Dnew&priority=1"))


def test_the_limits_are_checked_without_a_script(operator: Client, busy: Run) -> None:
    page = text_of(operator, COPY, **{"params.table": "t", "tags": "team=growth", "do": "check"})
    assert "The run would wait in the run queue" in limits_in(page)
    assert re.search(r'name="params.table" value="t"', page)
    assert "Nothing is wrong with it" in page
    page = text_of(operator, COPY, 422, tags="team=growth", do="check")
    assert "Nothing is wrong with it" not in page
    assert errors_in(page) == ["Required."]
    page = text_of(operator, COPY, 200, text="params: {table: t}\ntags: {team: growth}", do="check")
    assert "The run would wait in the run queue" in limits_in(page)
    assert Run.objects.filter(job="copy_table").count() == 0


def test_what_would_never_start_by_itself_is_said(operator: Client, busy: Run) -> None:
    a.sizing.pause("database", a.ADA)
    assert "copy can’t start: Pool database is paused by ada" in limits_in(text_of(operator, COPY))
    page = text_of(operator, f"{reverse('launch-assets')}?select=orders")
    assert "orders can’t start" in limits_in(page)


def test_the_limits_follow_a_document_too(operator: Client, busy: Run) -> None:
    answer = operator.post(COPY, {"text": "tags: {team: growth}", "do": "check"}, headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    assert "The run would wait in the run queue" in limits_in(answer.content.decode())
    answer = operator.post(COPY, {"text": "tags: {team: ", "do": "check"}, headers=HTMX)
    assert "The run would start at once" in limits_in(answer.content.decode()), "what can't be read yet says nothing"


def test_what_is_foreseen_is_what_happens(operator: Client, busy: Run) -> None:
    for tags, state in (("team=growth", "queued"), ("team=core", "started")):
        foreseen = limits_in(text_of(operator, f"{COPY}?tags={tags.replace('=', '%3D')}"))
        operator.post(COPY, {"params.table": "t", "tags": tags})
        assert Run.objects.latest("id").state == state
        assert ("The run would start at once" in foreseen) == (state == "started")


def test_a_button_that_there_is_not_launches_nothing(operator: Client) -> None:
    assert "do: &#x27;nonsense&#x27; is not allowed" in text_of(
        operator, COPY, 400, **{"params.table": "t", "do": "nonsense"}
    )
    assert not Run.objects.exists()


def test_a_viewer_may_look_and_not_launch(viewer: Client) -> None:
    page = text_of(viewer, COPY)
    assert "Launching needs the operator role." in page
    assert yaml_in(text_of(viewer, COPY, **{"params.table": "t", "do": "yaml"}))
    text_of(viewer, COPY, 403, **{"params.table": "t"})
    assert not Run.objects.exists()
