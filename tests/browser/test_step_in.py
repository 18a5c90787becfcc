"""An op that failed waits for its next try: see when that begins, don't wait for it, or give up."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.deployments import Deployment
from tests.servers import wait_for

COUNTDOWN = re.compile(r"in 9m \d\ds|in 10m 00s")


@pytest.fixture(scope="module")
def sluice() -> Iterator[Deployment]:
    """A deployment in which a first attempt fails."""
    deployment = Deployment("--no-demo", "--workers", "2", CONTROLPLANE_MODULES="tests.browser.jobs").wait_until_up()
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


def open_op(page: Page, sluice: Deployment) -> None:
    uid = sluice.launch("patient")
    page.goto(f"{sluice.url}/runs/{uid}/ops/flaky/")


def test_retry_now_goes_on_at_once(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    open_op(page, sluice)  # most likely before it has failed: what follows comes live
    expect(page.locator("#op-head")).to_contain_text(COUNTDOWN)
    first = page.locator("#op-head time[data-until]").inner_text()
    expect(page.locator("#op-head time[data-until]")).not_to_have_text(first)  # it counts
    expect(page.locator("#tries tbody tr")).to_contain_text(["ConnectionError: connection reset by peer"])
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator("#toasts")).to_contain_text("flaky is tried again now.")
    expect(page.locator("#op-head")).to_contain_text("Succeeded")
    expect(page.locator("#tries tbody tr").last).to_contain_text("Retried by hand")
    expect(page.get_by_role("button", name="Retry now")).to_be_hidden()


def test_a_page_that_stood_still_changes_nothing(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in(java_script_enabled=False)
    uid = sluice.launch("patient")
    failed = (
        f"SELECT 1 FROM runs_op o JOIN runs_run r ON r.id = run_id WHERE uid = '{uid}' AND o.state = 'up_for_retry'"
    )
    wait_for(lambda: bool(sluice.ask(failed)), "it did not fail", 30.0)
    page.goto(f"{sluice.url}/runs/{uid}/ops/flaky/")
    sluice.manage("runs", "give-up", uid, "flaky")
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator("main")).to_contain_text("flaky has failed")
    expect(page.locator("main")).to_contain_text("Nothing was changed.")


@pytest.mark.parametrize("scheme", ["dark"])
def test_on_a_phone_nothing_scrolls_sideways(sign_in: Callable[..., Page], sluice: Deployment, scheme: str) -> None:
    page = sign_in(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    open_op(page, sluice)
    expect(page.get_by_role("button", name="Give up")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Give up").click()
    expect(page.locator("#op-head")).to_contain_text("Failed")
    expect(page.locator("#tries tbody tr").last).to_contain_text("Given up")
