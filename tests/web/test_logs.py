"""The page of a log: read, found, followed, linked to and taken home as a file."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from controlplane.dashboard import screens
from runs.log_lines import PAGE
from runs.models import LogLine, Op, Run
from tests import builders as a

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(busy: Run) -> Run:
    """A run whose ops have said something."""
    say(a.the_op(busy, "op_0"), *(f"line {n}" for n in range(5)))
    say(a.the_op(busy, "op_1"), "<b>it & broke</b>", level="ERROR")
    return busy


def say(op: Op, *texts: str, level: str = "INFO") -> list[int]:
    lines = [LogLine(run_id=op.run_id, op=op, attempt=1, at=timezone.now(), level=level, text=text) for text in texts]
    return [line.pk for line in LogLine.objects.bulk_create(lines)]


def shown(client: Client, where: str) -> list[str]:
    """The texts of the lines on a page."""
    response = client.get(where)
    assert response.status_code == 200, response.content.decode()
    return re.findall(r'<a class="of"[^>]*>[^<]*</a>(.*?)</li>', response.content.decode())


def test_lines_are_found_by_op_level_and_text(viewer: Client, run: Run) -> None:
    where = f"/runs/{run.uid}/logs/"
    assert len(shown(viewer, where)) == 6
    assert shown(viewer, f"{where}?op=op_1") == ["&lt;b&gt;it &amp; broke&lt;/b&gt;"]
    assert shown(viewer, f"{where}?level=error&text=BROKE&op=op_1&before=&line=") == shown(viewer, f"{where}?op=op_1")
    assert shown(viewer, f"{where}?text=line+3") == ["line 3"]
    assert shown(viewer, f"{where}?text=nothing") == []
    text = viewer.get(f"{where}?level=error&op=op_1").content.decode()
    assert "<option selected>op_1</option>" in text
    assert '<option value="error" selected>' in text
    assert '<span class="lv is-fail lv-fail">error</span>' in text, "icon, word and colour"


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("level=loud", 400, "level: &#x27;loud&#x27; is not allowed: use error, warning, info, debug, printed"),
        ("line=x", 400, "line: &#x27;x&#x27; is not allowed"),
        ("before=-1", 400, "before: &#x27;-1&#x27; is not allowed"),
        ("after=99999999999999999999", 400, "after: "),
        ("text=" + "x" * 300, 400, "text: 300 characters are too many: use up to 200"),
        ("op=nobody", 404, "has no op nobody"),
        ("line=999999", 404, "has no line 999999"),
    ],
)
def test_what_makes_no_sense_is_refused_in_plain_words(
    viewer: Client, run: Run, query: str, status: int, told: str
) -> None:
    response = viewer.get(f"/runs/{run.uid}/logs/?{query}")
    assert response.status_code == status
    assert told in response.content.decode()


def test_pages_follow_each_other_and_a_line_has_an_address(viewer: Client, run: Run) -> None:
    ids = say(a.the_op(run, "op_2"), *(f"more {n}" for n in range(PAGE + 10)))

    def ends(page: str) -> tuple[str, str]:
        texts = shown(viewer, page)
        return texts[0], texts[-1]

    def turn(page: str, name: str) -> str:
        found = re.search(rf'href="([^"]+)">{name}</a>', viewer.get(page).content.decode())
        assert found, f"{page} has no link {name}"
        return found[1].replace("&amp;", "&")

    end = f"/runs/{run.uid}/logs/?op=op_2"
    assert ends(end) == ("more 10", f"more {PAGE + 9}")
    page = turn(end, "Older lines")
    assert ends(page) == ("more 0", "more 9")
    assert ends(turn(page, "Newer lines")) == ("more 10", f"more {PAGE + 9}")
    assert ends(turn(end, "From the beginning")) == ("more 0", f"more {PAGE - 1}")
    page = f"/runs/{run.uid}/logs/?line={ids[255]}"
    assert ends(page) == ("more 5", "more 504")
    assert f'data-line="{ids[255]}" id="marked"' in viewer.get(page).content.decode()


def test_it_is_live_at_its_end_only(viewer: Client, run: Run) -> None:
    where = f"/runs/{run.uid}/logs/"
    assert f"t=log%3A{run.pk}" in viewer.get(where).content.decode()
    assert "data-follows" in viewer.get(where).content.decode()
    assert "data-follows" not in viewer.get(f"{where}?tail=off").content.decode()
    line = LogLine.objects.first()
    assert 'id="stream"' not in viewer.get(f"{where}?line={line.pk}").content.decode()
    assert 'id="stream"' not in viewer.get(f"{where}?before={line.pk}").content.decode()


def test_the_stream_says_only_that_there_is_something_new(viewer: Client, run: Run) -> None:
    last = LogLine.objects.latest("id").pk
    blocks = {block.id: block.draw() for block in screens.blocks_of(f"log:{run.pk}")}
    assert set(blocks) == {"log-head", "log-pulse"}
    assert f'data-last="{last}"' in blocks["log-pulse"]
    assert sum(map(len, blocks.values())) < 1_000
    assert screens.is_touched(f"log:{run.pk}", {f"log:{run.pk}"})
    assert not screens.is_touched(f"log:{run.pk}", {"log:0", "gate:pool:database"})


def test_a_reader_who_follows_gets_what_is_new_and_nothing_else(viewer: Client, run: Run) -> None:
    ids = say(a.the_op(run, "op_0"), "seen")
    where = f"/runs/{run.uid}/logs/new/?settled={ids[0]}&last={ids[0]}&seen=0"
    assert shown(viewer, where) == []
    say(a.the_op(run, "op_0"), "new")
    say(a.the_op(run, "op_1"), "newer")
    assert shown(viewer, where) == ["new", "newer"]
    assert shown(viewer, f"{where}&op=op_1") == ["newer"]
    assert "<html" not in viewer.get(where).content.decode()
    assert viewer.get(f"{where}&last=x").status_code == 400


def test_a_download_has_all_that_matches(viewer: Client, run: Run) -> None:
    def downloaded(query: str = "") -> str:
        response = viewer.get(f"/runs/{run.uid}/logs/text/{query}")
        assert response.streaming
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert response["Content-Disposition"] == f'attachment; filename="{run.short}.log"'
        return b"".join(response.streaming_content).decode()

    assert downloaded().count("\n") == 6
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{time} ERROR    op_1  <b>it & broke</b>\n", downloaded("?level=error"))
    assert downloaded("?text=nothing") == ""


@pytest.mark.parametrize("query", ["", "?op=op_0&level=info&text=line", "?level=error", "?before=99", "?line=LINE"])
def test_a_page_of_lines_takes_few_queries(viewer: Client, run: Run, query: str) -> None:
    where = f"/runs/{run.uid}/logs/" + query.replace("LINE", str(LogLine.objects.latest("id").pk))
    viewer.get(where)
    with CaptureQueriesContext(connection) as asked:
        viewer.get(where)
    assert len(asked) <= 8, [query["sql"] for query in asked]


def test_the_pages_of_a_run_and_an_op_lead_to_their_log(viewer: Client, run: Run) -> None:
    assert f'href="/runs/{run.uid}/logs/"' in viewer.get(f"/runs/{run.uid}/").content.decode()
    assert f'href="/runs/{run.uid}/logs/?op=op_0"' in viewer.get(f"/runs/{run.uid}/ops/op_0/").content.decode()
