"""Every page of a deployment in which there is something of everything, at one moment: no barrier, no complaint.

A new page comes in by its example in tests/pages.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, StorageState, expect

from tests.pages import addresses
from tests.screenshots.still import Still

FIRST_VISIT, NEXT_PAGE = 110_000, 15_000  # bytes over the wire, the body of every file
MOST_ELEMENTS = 1500
CUT_OFF = """[...document.querySelectorAll('.scroll:has(> .fold), .step')]
    .some(box => box.scrollWidth > box.clientWidth && box.offsetParent)"""
EVERYTHING = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}  # all that the dark changes
LIGHT, DARK = {"color_scheme": "light"}, {"color_scheme": "dark"}


class Reader:
    """A page, and what its console complained of."""

    def __init__(self, page: Page, still: Still) -> None:
        self.page, self.still = page, still
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def look(self, address: str) -> None:
        answer = self.page.goto(address)
        assert answer is not None
        assert answer.ok, f"{address} is answered {answer.status}:\n{self.still.log()}"


@pytest.fixture
def reader(browser: Browser, known: StorageState, still: Still, request: pytest.FixtureRequest) -> Iterator[Reader]:
    how = getattr(request, "param", {})
    context = browser.new_context(storage_state=known, reduced_motion="reduce", **how)
    yield Reader(context.new_page(), still)
    context.close()


@pytest.mark.parametrize(
    ("reader", "rules"), [(LIGHT, EVERYTHING), (DARK, COLOURS)], ids=["light", "dark"], indirect=["reader"]
)
def test_nothing_keeps_anybody_out(reader: Reader, still: Still, rules: dict) -> None:
    axe, found = Axe(), []
    for where in addresses(still.names):
        reader.look(still.url + where)
        result = axe.run(reader.page, options={"runOnly": rules, "resultTypes": ["violations"]}).response
        found += [
            (where, each["id"], node["target"], node["html"][:200], [one["message"] for one in node["any"]])
            for each in result["violations"]
            for node in each["nodes"]
        ]
    assert not found, "\n".join(map(str, found))
    assert not reader.complaints, reader.complaints


@pytest.mark.parametrize("reader", [{"viewport": {"width": 320, "height": 800}}], indirect=True)
def test_nothing_scrolls_sideways(reader: Reader, still: Still) -> None:
    """Neither on a small phone, nor at 200 % on a window of 1280: that is 640 wide for the page."""
    wide = []
    for where in addresses(still.names):
        reader.look(still.url + where)
        for width in (320, 640):
            reader.page.set_viewport_size({"width": width, "height": 800})
            if (needs := reader.page.evaluate("document.documentElement.scrollWidth")) > width:
                wide.append((where, width, needs))
            if reader.page.evaluate(CUT_OFF):
                wide.append((where, width, "a table or a stepper is cut off"))
    assert not wide, wide
    assert not reader.complaints, reader.complaints


def test_a_page_is_light(reader: Reader, still: Still) -> None:
    """What comes over the wire for the first page and, as its files are kept, for any next; and how many elements."""
    page = reader.page
    came: list[Response] = []
    page.on("response", lambda answer: came.append(answer))

    def weight(where: str) -> int:
        came.clear()
        reader.look(still.url + where)
        if page.locator("#live").count():
            expect(page.locator("#live")).to_have_attribute("data-state", "live")
        page.evaluate("document.fonts.ready")
        files = [answer for answer in came if "/live/" not in answer.url]
        return sum(answer.request.sizes()["responseBodySize"] for answer in files)

    assert 60_000 < weight("/") <= FIRST_VISIT
    heavy = []
    for where in addresses(still.names):
        if (size := weight(where)) > NEXT_PAGE:
            heavy.append((where, size))
        if (elements := page.locator("*").count()) > MOST_ELEMENTS:
            heavy.append((where, f"{elements} elements"))
    assert not heavy, heavy
