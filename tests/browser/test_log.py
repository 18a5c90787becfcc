"""A reader follows a log, scrolls up without being moved, finds a line and gives its address to somebody else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.deployments import Deployment


@pytest.fixture(scope="module")
def sluice() -> Iterator[Deployment]:
    """A deployment with a job that says something all the time."""
    deployment = Deployment("--no-demo", "--workers", "1", CONTROLPLANE_MODULES="tests.browser.jobs").wait_until_up()
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


def test_a_log_is_followed_searched_and_linked_to(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    uid = sluice.launch("talks")
    page = sign_in()
    page.goto(f"{sluice.url}/runs/{uid}/")
    expect(page.locator("#log")).to_contain_text("beat")
    page.get_by_role("link", name="The whole log").click()
    page.wait_for_url(re.compile("/logs/$"))
    box, lines, chip = page.locator("#log-box"), page.locator("#log-box li"), page.locator("#log-new")
    sent: list[str] = []
    page.on("response", lambda response: sent.append(response.text()) if "/logs/new/" in response.url else None)

    # It follows: what is new comes by itself, in order, at the end of what is seen.
    last = lines.last.inner_text()
    expect(lines.last).not_to_have_text(last)
    expect(lines.last).to_be_in_viewport()
    expect(chip).to_be_hidden()
    ids = [int(line) for line in lines.evaluate_all("all => all.map(line => line.dataset.line)")]
    assert ids == sorted(set(ids))
    assert all("row 0 is read" not in text for text in sent), "what was there is not sent again"

    # Whoever has scrolled up stays there, and is told how much is new.
    box.evaluate("box => box.scrollTop = 200")
    expect(chip).to_have_text(re.compile(r"\d+ new lines?"))
    assert box.evaluate("box => box.scrollTop") == 200
    chip.click()
    expect(chip).to_be_hidden()
    expect(lines.last).to_be_in_viewport()

    # It stops following, and the address says so.
    page.get_by_role("link", name="Stop following").click()
    assert page.url.endswith("?tail=off")
    expect(page.get_by_role("link", name="Follow", exact=True)).to_be_visible()

    # A line is found by its level and text; its address shows it among its neighbours.
    page.get_by_label("Level").select_option("Warnings and errors")
    page.get_by_label("Text").fill("LATE")
    page.get_by_role("button", name="Filter").click()
    expect(lines).to_have_count(1)
    lines.first.locator("a.at").click()
    page.wait_for_url(re.compile(r"/logs/\?line=\d+#marked$"))
    expect(page.locator("#marked")).to_contain_text("row 7 is late")
    expect(page.locator("#marked")).to_be_in_viewport()
    assert lines.count() > 100

    # The same without scripts.
    plain = sign_in(java_script_enabled=False)
    plain.goto(page.url)
    expect(plain.locator("#marked")).to_be_in_viewport()
    plain.get_by_label("Text").fill("row 9")
    plain.get_by_role("button", name="Filter").click()
    expect(plain.locator("#log-box li")).to_have_count(11)
    with plain.expect_download() as download:
        plain.get_by_role("link", name="Download").click()
    assert download.value.path().read_text().count("row 9") == 11
    sluice.manage("runs", "cancel", uid)
