"""A run that is over is executed again from its page, and shows where it comes from and what it reuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from controlplane.dashboard import screens
from pools import claims
from pools.models import Waiter
from runs import catalog, launch, lineage, recover, reexecution, states, transitions
from runs.models import Run
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "definitions")]

HTMX = {"HX-Request": "true"}


def pipeline(**how) -> Run:
    a.workers(2)
    return a.launched_run(launch.find_job(catalog.current(), "pipeline"), **how)


@pytest.fixture
def failed() -> Run:
    """A run of which `extract` succeeded and `load` failed."""
    run = pipeline()
    a.carry_out(a.the_op(run, "extract"))
    a.start(a.the_op(run, "load"))
    a.fail(a.the_op(run, "load"), "ValueError: it broke")
    return fresh(run)


@pytest.fixture
def succeeded() -> Run:
    run = pipeline()
    a.carry_out_all()
    return fresh(run)


def fresh(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


def page(client: Client, run: Run) -> str:
    return client.get(reverse("run", args=[run.uid])).content.decode()


def again(client: Client, run: Run, source: str = "failure", newest: object = "", htmx: bool = True):
    where = reverse("run-again", args=[run.uid])
    return client.post(where, {"from": source, "newest": newest}, headers=HTMX if htmx else {})


def newest() -> Run:
    return Run.objects.latest("id")


# --- executing it again -----------------------------------------------------------------------------


def test_from_failure_reuses_what_succeeded_and_leads_to_the_new_run(operator: Client, failed: Run) -> None:
    response = again(operator, failed)
    made = newest()
    assert (made.parent, made.door, made.launched_by) == (failed, "page", "ann")
    assert a.states_of(made) == {"extract": states.SUCCESS, "load": states.ADMITTED}
    assert response.status_code == 200
    assert response["HX-Redirect"] == reverse("run", args=[made.uid])
    assert f"pipeline {made.short} executes {failed.short} again." in page(operator, made)


def test_all_of_it_runs_everything(operator: Client, failed: Run) -> None:
    response = again(operator, failed, "all", htmx=False)
    made = newest()
    assert (response.status_code, response["Location"]) == (302, reverse("run", args=[made.uid]))
    assert a.states_of(made) == {"extract": states.ADMITTED, "load": states.PENDING}


def test_whoever_did_not_see_that_it_was_done_already_is_asked(operator: Client, failed: Run) -> None:
    """A button pressed twice, or by two people, executes the run once."""
    first = reexecution.reexecute(failed, who="bob", door="page", from_failure=True)
    response = again(operator, failed)
    text = response.content.decode()
    assert response.status_code == 409
    assert response["HX-Retarget"] == "#dialog"
    assert "bob" in text
    assert reverse("run", args=[first.uid]) in text
    assert f'name="newest" value="{first.pk}"' in text
    assert newest() == first
    assert again(operator, failed, newest=first.pk).status_code == 200, "whoever saw it may"
    assert newest() != first


def test_a_run_that_is_not_over_is_refused(operator: Client) -> None:
    run = pipeline()
    response = again(operator, run, "all")
    assert response.status_code == 422
    assert "wait for its end, or cancel it" in response.content.decode()
    assert newest() == run


def test_a_run_without_a_failure_is_not_executed_from_failure(operator: Client, succeeded: Run) -> None:
    response = again(operator, succeeded)
    assert response.status_code == 422
    assert "execute all of it again" in response.content.decode()
    assert newest() == succeeded


def test_a_job_that_is_gone_is_said(operator: Client) -> None:
    run = a.running_op().run
    a.fail(a.the_op(run))
    response = again(operator, run, "all", htmx=False)
    assert response.status_code == 422
    assert "there is no job" in response.content.decode()


@pytest.mark.parametrize("source", ["", "nowhere", "ALL"])
def test_from_where_is_checked(operator: Client, failed: Run, source: str) -> None:
    response = again(operator, failed, source)
    assert response.status_code == 422
    assert "from:" in response.content.decode()
    assert newest() == failed


def test_a_viewer_has_no_buttons_and_may_not(viewer: Client, failed: Run) -> None:
    assert "Execute" not in page(viewer, failed)
    assert "Retry from failure" not in page(viewer, failed)
    assert again(viewer, failed).status_code == 403
    assert newest() == failed
    asked = viewer.get(reverse("run-again", args=[failed.uid])).content.decode()
    assert "needs the operator role" in asked
    assert asked.count(" disabled>") == 2, "both ways"


def test_without_scripts_a_page_asks_first(operator: Client, failed: Run) -> None:
    asked = operator.get(reverse("run-again", args=[failed.uid])).content.decode()
    assert "Retry from failure" in asked
    assert 'value="all"' in asked
    assert newest() == failed


def test_the_buttons_fit_the_run(operator: Client, failed: Run, succeeded: Run) -> None:
    assert "data-reusable" in page(operator, failed)
    assert "data-reusable" not in page(operator, succeeded)
    assert "data-over" in page(operator, succeeded)
    going_on = page(operator, pipeline())
    assert "data-over" not in going_on
    assert "Cancel run" in going_on


# --- from the overview ------------------------------------------------------------------------------


def needs_a_person(client: Client) -> str:
    text = client.get("/").content.decode()
    return text[text.index("Needs a person") : text.index('id="figures"')]


def test_a_failure_needs_a_person_until_it_is_executed_again(operator: Client, failed: Run) -> None:
    text = needs_a_person(operator)
    assert f'<a href="{reverse("run", args=[failed.uid])}">pipeline</a> failed at' in text
    assert "ValueError: it broke" in text
    assert "Retry from failure" in text
    assert "data-for-operators" in text
    response = operator.post(reverse("run-again", args=[failed.uid]), {"from": "failure", "stay": "yes"}, headers=HTMX)
    assert response.status_code == 200
    assert "HX-Redirect" not in response
    assert f"executes {failed.short} again." in response.content.decode()
    assert "Nothing does." in needs_a_person(operator)
    transitions.cancel_run(newest().pk, "ann")
    assert "Nothing does." in needs_a_person(operator)


def test_where_nothing_can_be_reused_all_of_it_is_offered(operator: Client) -> None:
    run = pipeline()
    a.start(a.the_op(run, "extract"))
    a.fail(a.the_op(run, "extract"))
    text = needs_a_person(operator)
    assert "Execute again" in text
    assert '"from": "all"' in text
    assert "Retry from failure" not in text


def test_a_failure_that_is_about_to_be_executed_again_needs_nobody(operator: Client) -> None:
    run = pipeline(tags={"dagster/max_retries": "1"})
    a.start(a.the_op(run, "extract"))
    a.fail(a.the_op(run, "extract"))
    assert "Nothing does." in needs_a_person(operator)


def test_only_a_page_of_an_operator_shows_what_is_for_operators(operator: Client, viewer: Client) -> None:
    assert "data-operator" in operator.get("/").content.decode()
    assert "data-operator" not in viewer.get("/").content.decode()


def test_many_failures_ask_no_more_questions(operator: Client, failed: Run) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            operator.get("/")
        return len(asked)

    questions()
    before = questions()
    for _ in range(6):
        op = a.the_op(pipeline(), "extract")
        a.start(op)
        a.fail(op)
    assert questions() == before
    assert lineage.open_failures().count() == 3


# --- where a run comes from -------------------------------------------------------------------------


def test_a_run_links_to_those_it_comes_from_and_those_that_came_of_it(viewer: Client, failed: Run) -> None:
    second = reexecution.reexecute(failed, who="ann", door="page", from_failure=True)
    transitions.cancel_run(second.pk, "ann")
    third = reexecution.reexecute(fresh(second), who="ann", door="page", from_failure=True)

    def links(run: Run) -> set[Run]:
        head = screens.blocks_of_run(fresh(run))[0].draw()
        return {other for other in (failed, second, third) if reverse("run", args=[other.uid]) in head}

    assert links(failed) == {second}
    assert links(second) == {failed, third}
    assert links(third) == {failed, second}
    assert "First run" in page(viewer, third)
    assert "First run" not in page(viewer, second), "the first is the one before"


def test_of_many_that_came_of_it_the_newest_are_shown(viewer: Client, failed: Run) -> None:
    made = [reexecution.reexecute(failed, who="ann", door="page", from_failure=True) for _ in range(8)]
    text = page(viewer, failed)
    shown = [run for run in made if reverse("run", args=[run.uid]) in text]
    assert shown == made[-5:]
    assert "and others before" in text


def test_what_is_reused_is_drawn_as_such_and_leads_to_where_it_ran(viewer: Client, failed: Run) -> None:
    second = reexecution.reexecute(failed, who="ann", door="page", from_failure=True)
    transitions.cancel_run(second.pk, "ann")
    third = reexecution.reexecute(fresh(second), who="ann", door="page", from_failure=True)
    where = reverse("op", args=[failed.uid, "extract"])
    text = page(viewer, third)
    assert f'href="{where}"' in text, "where it ran, not where it was reused"
    assert "#i-reuse" in text
    assert "1 reused" in text
    op_page = viewer.get(reverse("op", args=[third.uid, "extract"])).content.decode()
    assert f'href="{where}"' in op_page
    assert "Reused" in op_page
    assert "Reused" not in viewer.get(reverse("op", args=[third.uid, "load"])).content.decode()


def test_a_family_asks_few_questions(viewer: Client, failed: Run, django_assert_max_num_queries) -> None:
    run = failed
    for _ in range(3):
        run = reexecution.reexecute(fresh(run), who="ann", door="page", from_failure=True)
        transitions.cancel_run(run.pk, "ann")
    reexecution.reexecute(fresh(run), who="ann", door="page", from_failure=True)
    page(viewer, run)
    with django_assert_max_num_queries(20):
        page(viewer, run)


# --- why it failed, and until when it may run -------------------------------------------------------


def test_why_a_run_failed_is_in_its_head(viewer: Client) -> None:
    run = a.queued_run(tags={"sluice/max_wait": "60"})
    Waiter.objects.update(give_up_at=claims.clock_time() - timedelta(seconds=1))
    recover.Clock().one_pass()
    assert fresh(run).state == states.FAILURE
    head = screens.blocks_of_run(fresh(run))[0].draw()
    assert "Waited too long for" in head
    assert 'class="is-fail"' in head
    assert "Waited too long for" in page(viewer, run)


def test_until_when_a_run_may_go_on_is_counted_down(viewer: Client) -> None:
    run = fresh(a.started_run(tags={"dagster/max_runtime": "900"}))
    assert run.deadline is not None
    text = page(viewer, run)
    assert f'data-until="{run.deadline.isoformat()}"' in text
    transitions.cancel_run(run.pk, "ann")
    assert "data-until" not in page(viewer, run)


def test_a_run_that_is_about_to_be_executed_again_says_so_and_stays_live(viewer: Client) -> None:
    run = pipeline(tags={"dagster/max_retries": "1"})
    a.start(a.the_op(run, "extract"))
    a.fail(a.the_op(run, "extract"))
    text = page(viewer, run)
    assert "about to be executed again" in text
    assert 'id="stream"' in text
    assert reexecution.retry_due() == 1
    assert "about to be executed again" not in page(viewer, run)
    assert reverse("run", args=[newest().uid]) in page(viewer, run)
