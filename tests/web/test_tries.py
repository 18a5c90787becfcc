"""An op that is tried again: what befell its attempts, when the next one begins, and stepping in from its page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from controlplane.dashboard import screens
from controlplane.dashboard.templatetags import tries
from pools import claims
from runs import states, transitions, verdict
from runs.models import Op, OpEvent
from runs.verdict import Verdict
from tests import builders as a

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]

HTMX = {"HX-Request": "true"}
KINDS = [value for name, value in vars(verdict).items() if name.isupper()]


def failed_once(retry_in: float = 600.0) -> Op:
    """An op that waits for its second attempt."""
    running = a.running_op()
    a.fail(running, "ValueError: it broke", retry_in)
    assert running.state == states.UP_FOR_RETRY
    return running


def address(op: Op, verb: str = "op") -> str:
    return reverse(verb, args=[op.run.uid, op.key])


def post(client: Client, op: Op, verb: str, attempt: object = 1, htmx: bool = True):
    return client.post(address(op, verb), {"attempt": attempt}, headers=HTMX if htmx else {})


def state_of(op: Op) -> str:
    op.refresh_from_db()
    return op.state


def test_when_the_next_try_begins_is_shown_and_counted_down(operator: Client) -> None:
    op = failed_once()
    shown = f'data-until="{op.retry_at.isoformat()}"'
    page = operator.get(address(op)).content.decode()
    assert shown in page
    assert f"at {op.retry_at:%H:%M:%S} UTC" in page, "readable without a script"
    assert shown in operator.get(reverse("run", args=[op.run.uid])).content.decode(), "on the timeline as well"


def test_a_next_try_on_another_day_says_which(operator: Client) -> None:
    op = failed_once(3 * 24 * 3600)
    assert f"at {op.retry_at:%d %b, %H:%M} UTC" in operator.get(address(op)).content.decode()


def test_retry_now_does_not_wait(operator: Client) -> None:
    op = failed_once()
    response = post(operator, op, "op-retry")
    assert response.status_code == 200
    assert "only is tried again now." in response.content.decode()
    assert state_of(op) == states.ADMITTED
    assert OpEvent.objects.filter(op=op, kind=verdict.RETRIED, text="by ann").count() == 1


def test_giving_up_fails_the_op(operator: Client) -> None:
    op = failed_once()
    response = post(operator, op, "op-give-up")
    assert response.status_code == 200
    assert "only is not tried again: it has failed." in response.content.decode()
    assert state_of(op) == states.FAILURE
    assert OpEvent.objects.filter(op=op, kind=verdict.GAVE_UP, text="by ann").count() == 1


@pytest.mark.parametrize("verb", ["op-retry", "op-give-up"])
def test_a_page_of_an_earlier_attempt_changes_nothing(operator: Client, verb: str) -> None:
    op = failed_once()
    transitions.retry_now(op.pk, 1, "bob")
    a.start(op)
    response = post(operator, op, verb)
    assert response.status_code == 409
    assert "is running its attempt 2" in response.content.decode()
    a.fail(op, "again", 600.0)
    assert "waits for its attempt 3" in post(operator, op, verb).content.decode()
    assert state_of(op) == states.UP_FOR_RETRY
    assert post(operator, op, verb, 2).status_code == 200, "but the page of this attempt does"


@pytest.mark.parametrize("verb", ["op-retry", "op-give-up"])
def test_an_op_that_does_not_wait_for_a_try_is_left_alone(operator: Client, verb: str) -> None:
    op = a.running_op()
    response = post(operator, op, verb)
    assert response.status_code == 409
    assert "Nothing was changed." in response.content.decode()
    a.end(op)
    assert "succeeded" in post(operator, op, verb).content.decode()
    assert state_of(op) == states.SUCCESS


@pytest.mark.parametrize("attempt", ["", "two", "-1", "99999999999999999999", "1.0"])
def test_an_attempt_that_is_no_number_is_said(operator: Client, attempt: str) -> None:
    op = failed_once()
    response = post(operator, op, "op-retry", attempt)
    assert response.status_code == 422
    assert "attempt:" in response.content.decode()
    assert state_of(op) == states.UP_FOR_RETRY


def test_without_scripts_it_goes_back_to_the_page_and_says_so(operator: Client) -> None:
    op = failed_once()
    response = operator.post(address(op, "op-retry"), {"attempt": 1}, follow=True)
    assert response.redirect_chain == [(address(op), 302)]
    assert "only is tried again now." in response.content.decode()
    conflict = post(operator, op, "op-retry", htmx=False)
    assert conflict.status_code == 409
    assert "</html>" in conflict.content.decode()


def test_a_viewer_has_no_buttons_and_may_not(viewer: Client) -> None:
    op = failed_once()
    page = viewer.get(address(op)).content.decode()
    assert "Retry now" not in page
    assert "Give up" not in page
    for verb in ("op-retry", "op-give-up"):
        assert post(viewer, op, verb).status_code == 403
        assert viewer.get(address(op, verb)).status_code == 405
    assert state_of(op) == states.UP_FOR_RETRY


def test_an_op_that_is_not_there_is_said(operator: Client) -> None:
    op = failed_once()
    for verb in ("op-retry", "op-give-up"):
        assert operator.post(reverse(verb, args=[op.run.uid, "nobody"]), {"attempt": 1}).status_code == 404


def test_what_befell_the_attempts_is_listed_the_newest_last(viewer: Client) -> None:
    op = a.running_op()
    assert "Tries" not in viewer.get(address(op)).content.decode(), "nothing befell it"
    a.fail(op, "ValueError: first", 600.0)
    transitions.retry_now(op.pk, 1, "bob")
    a.start(op)
    assert transitions.op_died(op.pk, op.token, "its process was killed: signal 9, SIGKILL")
    transitions.note_late(op.pk, 2, "its result came too late and was refused: success")
    page = viewer.get(address(op)).content.decode()
    text = page[page.index("Tries") :]
    told = ("ValueError: first", "by bob", "signal 9, SIGKILL", "its result came too late")
    places = [text.index(part) for part in told]
    assert places == sorted(places)
    for word in ("Failed", "Retried by hand", "Crashed", "Late, refused"):
        assert word in text, word


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_icon_a_word_and_a_colour(kind: str) -> None:
    shown = tries.befell(OpEvent(kind=kind))
    assert "<use href=" in shown
    assert "is-" in shown
    assert kind in tries.LOOKS


def test_no_two_kinds_look_the_same() -> None:
    assert set(tries.LOOKS) == set(KINDS)
    assert len({word for _, _, word in tries.LOOKS.values()}) == len(KINDS)


def test_many_tries_ask_one_question_and_are_shown_to_a_limit(viewer: Client, django_assert_max_num_queries) -> None:
    op = a.running_op()
    now = claims.clock_time()
    for number in range(150):
        at = now + timedelta(seconds=number)
        OpEvent.objects.create(op=op, attempt=number, kind=verdict.FAILED, started_at=now, at=at, text=f"no. {number}.")
    viewer.get(address(op))
    with django_assert_max_num_queries(9):
        text = viewer.get(address(op)).content.decode()
    assert "no. 149." in text
    assert "no. 50." in text
    assert "no. 49." not in text
    assert "the last 100" in text


def test_the_stream_carries_no_button(viewer: Client) -> None:
    op = failed_once()
    drawn = {block.id: block.draw() for block in screens.blocks_of(f"op:{op.pk}")}
    assert "<form" not in "".join(drawn.values())
    assert 'data-attempt="1"' in drawn["op-head"]
    assert "data-retries" in drawn["op-head"]
    assert "it broke" in drawn["tries"]
    a.due(op)
    transitions.retry_due()
    again = {block.id: block.draw() for block in screens.blocks_of(f"op:{op.pk}")}
    assert "data-retries" not in again["op-head"]


def test_a_given_back_attempt_is_told(viewer: Client) -> None:
    op = a.running_op()
    assert transitions.give_back(op.pk, op.token)
    assert "Given back" in viewer.get(address(op)).content.decode()
    assert Verdict.canceled().cause == verdict.STOPPED
