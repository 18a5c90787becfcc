"""How pages stay fresh where there is no stream: by asking for the same blocks, 304 while nothing moves."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.dashboard import drawing, screens
from pools import sizing
from runs.models import Run, TagRule
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)

WHERE = "/live/blocks/?t=rail&t=pool:database"


def test_the_blocks_are_those_of_the_stream(viewer: Client, busy: Run) -> None:
    answer = viewer.get(WHERE)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    ids = [block.id for topic in ("rail", "pool:database") for block in screens.blocks_of(topic)]
    assert list(answer.json()) == ids
    for name, html in answer.json().items():
        assert f'id="{name}"' in html
        assert "csrf" not in html


def test_they_are_not_sent_again_while_only_clocks_move(viewer: Client, busy: Run, monkeypatch) -> None:
    etag = viewer.get(WHERE)["ETag"]
    later = timezone.now() + timedelta(seconds=7)
    monkeypatch.setattr(timezone, "now", lambda: later)
    again = viewer.get(WHERE, headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert again["ETag"] == etag
    assert not again.content
    sizing.set_limit("database", 5, a.ADA)
    changed = viewer.get(WHERE, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


def test_a_clock_is_all_that_is_overlooked() -> None:
    counting = '<p><time class="tn" datetime="x" data-since="x">{}</time> {} <time datetime="x">{}</time></p>'
    assert drawing.still(counting.format("4s", "a", "b")) == drawing.still(counting.format("1m 05s", "a", "b"))
    assert drawing.still(counting.format("4s", "a", "b")) != drawing.still(counting.format("4s", "c", "b"))
    assert drawing.still(counting.format("4s", "a", "b")) != drawing.still(counting.format("4s", "a", "c"))


def test_what_comes_live_can_be_acted_on(operator: Client, busy: Run) -> None:
    """The stream draws no form: buttons name one of the page, cells say where theirs is."""
    page = operator.get("/queue/").content.decode()
    (queue,) = [block for block in screens.blocks_of("queue") if block.id == "queue"]
    forms = re.findall(r'form="([^"]+)" formaction="([^"]+)"', queue.draw())
    assert len(forms) == 2
    for form, where in forms:
        assert f'<form id="{form}" method="post" hidden>' in page
        assert operator.post(where).status_code == 302
    assert not Run.objects.filter(state="queued").exists()
    for topic, block in (("limits", "tag-limits"), ("pools", "pools")):
        (drawn,) = [each.draw() for each in screens.blocks_of(topic) if each.id == block]
        cells = re.findall(r'data-form="([^"]+)"', drawn)
        assert len(cells) == 2
        for where in cells:
            form = operator.get(where, headers={"HX-Request": "true"}).content.decode()
            assert "csrfmiddlewaretoken" in form
            assert operator.get(where).status_code == 302


def test_who_may_only_look_gets_no_form(viewer: Client, busy: Run) -> None:
    for where in ("/queue/", "/queue/limits/", "/pools/"):
        assert 'row-actions"' not in re.sub(r'\sform="row-actions"', "", viewer.get(where).content.decode())
    for where in (f"/queue/limits/rules/{TagRule.objects.first().pk}/editor/", "/pools/database/stepper/"):
        assert viewer.get(where, headers={"HX-Request": "true"}).status_code == 403
    assert viewer.get("/pools/nobody/stepper/", headers={"HX-Request": "true"}).status_code in (403, 404)


def test_who_is_not_signed_in_is_refused_without_a_detour(engine) -> None:
    assert Client().get(WHERE).status_code == 401


def test_what_there_is_not_is_not_sent(viewer: Client) -> None:
    assert viewer.get("/live/blocks/?t=nothing&t=run:999&t=pool:none").json() == {}
    assert viewer.get("/live/blocks/").json() == {}


@pytest.mark.parametrize(("live", "stream", "asked"), [("sse", 501, 200), ("poll", 503, 200), ("off", 503, 503)])
def test_the_setting_says_how(viewer: Client, settings, live: str, stream: int, asked: int) -> None:
    settings.LIVE = live
    page = viewer.get("/pools/").content.decode()
    assert ("js/live.js" in page) == (live != "off")
    assert (f'data-live="{live}"' in page) == (live != "off")
    assert ("Not live: load it again" in page) == (live == "off")
    assert viewer.get("/live/?t=pools").status_code == stream  # 501: the test's server can't stream
    assert viewer.get("/live/blocks/?t=pools").status_code == asked
