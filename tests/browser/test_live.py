"""A page that is kept open: it stays fresh whatever becomes of its stream, and never takes what its reader does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.deployments import Deployment

SETTINGS = {"CONTROLPLANE_MODULES": "tests.browser.jobs", "DJANGO_SETTINGS_MODULE": "tests.browser.busy_settings"}
SELECT = """quote => {
    const range = document.createRange();
    range.selectNodeContents(quote);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
}"""


@pytest.fixture(scope="module")
def sluice() -> Iterator[Deployment]:
    """A deployment whose run queue is closed, and shows what a reader can be busy with."""
    deployment = Deployment("--no-demo", "--workers", "1", **SETTINGS).wait_until_up()
    deployment.manage("concurrency", "runs", "0")
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


def launch(sluice: Deployment, page: Page, times: int = 1) -> None:
    """So many more runs wait, and the page has been told of each by itself."""
    for _ in range(times):
        before = int(re.match(r"\d*", page.locator("#count-queue").inner_text())[0] or 0)  # type: ignore[index]
        sluice.launch("patient")
        expect(page.locator("#count-queue")).to_have_text(str(before + 1))


def test_what_the_reader_does_in_a_block_is_kept(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/queue/")
    expect(page.locator("#live")).to_have_text("Live")
    block = page.locator("#queue-limits")
    note, remark, choice = block.get_by_label("Note"), block.get_by_label("Remark"), block.get_by_label("Choice")
    block.get_by_label("Seen").check()
    block.locator("summary").click()
    block.locator(".logs").evaluate("pane => { pane.scrollLeft = 120 }")
    remark.fill("a remark")
    choice.select_option("two")
    note.fill("written by hand")
    note.evaluate("field => { field.focus(); field.setSelectionRange(3, 9); window.node = field }")
    launch(sluice, page, 3)
    expect(block.locator("h2")).to_have_text("3 wait")

    def is_kept() -> None:
        expect(note).to_have_value("written by hand")
        expect(remark).to_have_value("a remark")
        expect(choice).to_have_value("two")
        expect(block.get_by_label("Seen")).to_be_checked()
        expect(block.get_by_text("There are")).to_be_visible()
        assert block.locator(".logs").evaluate("pane => pane.scrollLeft") == 120
        assert note.evaluate("field => field === window.node")

    is_kept()
    expect(note).to_be_focused()
    assert note.evaluate("field => [field.selectionStart, field.selectionEnd]") == [3, 9]
    # What was written stays also when its writer has gone on to something else.
    note.blur()
    launch(sluice, page)
    expect(block.locator("h2")).to_have_text("4 wait")
    is_kept()
    # Text that is selected holds the block that it is in, and no other.
    block.locator(".quote").evaluate(SELECT)
    launch(sluice, page, 2)
    expect(page.locator("#queue h2")).to_have_text("6 queued")
    expect(block.locator("h2")).to_have_text("4 wait")
    assert page.evaluate("getSelection().toString()") == "Whoever reads this may want to copy it."
    page.evaluate("getSelection().removeAllRanges()")
    expect(block.locator("h2")).to_have_text("6 wait")
    is_kept()


def test_a_frozen_page_counts_what_it_holds(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/queue/")
    expect(page.locator("#live")).to_have_text("Live")
    queued = page.locator("#queue h2").inner_text()
    page.keyboard.press("l")
    expect(page.locator("#live")).to_have_text("Frozen")
    resume = page.get_by_role("button", name="resume")
    expect(resume).to_have_text("Frozen, resume")
    sluice.launch("patient")
    expect(resume).to_have_text(re.compile(r"^\d+ changes?, resume$"))
    expect(page.locator("#held [role=status]")).to_have_text(re.compile(r"^\d+ changes? (is|are) held\.$"))
    expect(page.locator("#queue h2")).to_have_text(queued)
    resume.click()
    expect(page.locator("#queue h2")).not_to_have_text(queued)
    expect(resume).to_be_hidden()
    expect(page.locator("#live")).to_have_text("Live")
    page.locator("#live").click()
    expect(page.locator("#live")).to_have_text("Frozen")


def test_what_comes_live_can_be_acted_on(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/queue/")
    expect(page.locator("#live")).to_have_text("Live")
    uid = sluice.launch("patient")
    cancel = page.get_by_role("button", name=f"Cancel patient {uid[:8]}")
    cancel.click()
    expect(page.locator("#toasts")).to_contain_text(f"patient {uid[:8]} is canceled.")
    expect(cancel).to_be_hidden()
    page.goto(f"{sluice.url}/queue/limits/")
    expect(page.locator("#live")).to_have_text("Live")
    sluice.manage("concurrency", "rule", "team", "2")
    limit = page.get_by_role("spinbutton", name="Limit on team")
    expect(limit).to_have_value("2")
    limit.fill("5")
    page.locator("#tag-limits").get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Run limit team: 5.")
    expect(page.locator("#limits-in-use")).to_contain_text("0 / 5")
    sluice.manage("concurrency", "rule-delete", "team")
    expect(page.locator("#tag-limits")).to_contain_text("No tag limit.")


def test_a_hidden_page_stands_still_and_catches_up(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/queue/")
    expect(page.locator("#live")).to_have_text("Live")
    queued = page.locator("#queue h2").inner_text()
    turn = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(turn, True)
    sluice.launch("patient")
    watcher = sign_in()
    watcher.goto(f"{sluice.url}/queue/")
    expect(watcher.locator("#live")).to_have_text("Live")
    expect(page.locator("#queue h2")).to_have_text(queued)
    page.evaluate(turn, False)
    expect(page.locator("#queue h2")).not_to_have_text(queued)


def test_without_a_stream_the_page_asks(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    answers: list[int] = []
    page.on("response", lambda answer: answers.append(answer.status) if "/live/blocks/" in answer.url else None)
    page.route("**/live/?**", lambda route: None)  # as behind a proxy that keeps it back
    page.goto(f"{sluice.url}/queue/")
    expect(page.locator("#live")).to_have_text("Live, every 5 s", timeout=15_000)
    with page.expect_response(lambda answer: "/live/blocks/" in answer.url and answer.status == 304):
        pass
    assert answers == [200, 304]
    launch(sluice, page)


def test_after_a_restart_of_the_server_the_page_is_fresh_again(browser: Browser, sluice: Deployment) -> None:
    """With a browser of its own: that the server is away is an error to its console."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(sluice.login_link())
    page.get_by_role("button", name="Sign in as admin").click()
    page.wait_for_url(f"{sluice.url}/")
    page.goto(f"{sluice.url}/queue/")
    expect(page.locator("#live")).to_have_text("Live")
    queued = page.locator("#queue h2").inner_text()
    sluice.stop()
    expect(page.locator("#live")).to_have_text("Not live, trying again")
    again = Deployment("--no-demo", "--workers", "1", folder=sluice.folder, port=sluice.port, **SETTINGS)
    try:
        again.wait_until_up().launch("patient")
        expect(page.locator("#live")).to_have_text("Live", timeout=15_000)
        expect(page.locator("#queue h2")).not_to_have_text(queued)
    finally:
        context.close()
        again.stop()
