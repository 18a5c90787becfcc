"""How pages stay fresh where there is no stream: by asking for the same blocks, 304 while nothing moves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.dashboard import drawing, screens
from pools import sizing
from runs.models import Run
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
