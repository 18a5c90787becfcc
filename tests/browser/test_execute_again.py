"""A run fails: retry it from its page, see what is reused, and be told if somebody else was first."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.deployments import Deployment
from tests.servers import wait_for


@pytest.fixture(scope="module")
def sluice() -> Iterator[Deployment]:
    """A deployment with a job that fails at first."""
    deployment = Deployment("--no-demo", "--workers", "2", CONTROLPLANE_MODULES="tests.browser.jobs").wait_until_up()
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


def failed_run(sluice: Deployment) -> str:
    uid = sluice.launch("breaks_once")
    wait_for(
        lambda: bool(sluice.ask(f"SELECT 1 FROM runs_run WHERE uid = '{uid}' AND state = 'failure'")),
        "it did not fail",
        30.0,
    )
    return uid


def test_from_failure_in_one_click(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    uid = sluice.launch("breaks_once")
    page.goto(f"{sluice.url}/runs/{uid}/")  # most likely before it has failed: the button comes live
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile("icon-failed"))
    page.get_by_role("button", name="Retry from failure").click()
    expect(page.locator(".said")).to_contain_text(f"executes {uid[:8]} again.")
    expect(page.locator("#run-head")).to_contain_text("Succeeded")
    expect(page.locator("#run-head")).to_contain_text("2 of 2 ops done, 1 reused")
    expect(page.get_by_role("button", name="Retry from failure")).to_be_hidden()
    expect(page.get_by_role("button", name="Execute all again")).to_be_visible()
    page.get_by_role("link", name="reused", exact=True).click()
    page.wait_for_url(re.compile(rf"/runs/{uid}/ops/extract/"))
    page.goto(f"{sluice.url}/runs/{uid}/")
    expect(page.locator("#run-head")).to_contain_text("Executed again as")


def test_whoever_comes_second_is_told(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    uid = failed_run(sluice)
    page = sign_in()
    page.goto(f"{sluice.url}/runs/{uid}/")
    sluice.manage("runs", "reexecute", uid, "--from-failure")
    page.get_by_role("button", name="Execute all again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("was executed again since you looked")
    dialog.get_by_role("button", name="Execute all again").click()
    page.wait_for_url(re.compile(rf"/runs/(?!{uid})"))
    expect(page.locator("#run-head")).to_contain_text("Executes again")


def test_from_the_overview_in_one_click(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    expect(page.locator("#live")).to_have_text("Live")
    uid = failed_run(sluice)  # it comes live, with its button
    row = page.locator("#needs-a-person li", has_text=uid[:8])
    expect(row).to_contain_text("breaks_once failed at load")
    row.get_by_role("link", name="Retry from failure").click()
    expect(page.locator("#toasts")).to_contain_text(f"executes {uid[:8]} again.")
    expect(row).to_have_count(0)


def test_from_the_overview_without_scripts_a_page_asks(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    uid = failed_run(sluice)
    page = sign_in(java_script_enabled=False)
    row = page.locator("#needs-a-person li", has_text=uid[:8])
    row.get_by_role("link", name="Retry from failure").click()
    page.get_by_role("button", name="Retry from failure").click()
    expect(page.locator(".said")).to_contain_text(f"executes {uid[:8]} again.")


@pytest.mark.parametrize("scheme", ["dark"])
def test_without_scripts_on_a_phone(sign_in: Callable[..., Page], sluice: Deployment, scheme: str) -> None:
    uid = failed_run(sluice)
    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    page = sign_in(java_script_enabled=False, **phone)
    page.goto(f"{sluice.url}/runs/{uid}/")
    page.get_by_role("button", name="Retry from failure").click()
    expect(page.locator(".said")).to_contain_text(f"executes {uid[:8]} again.")
    made = page.url
    looking = sign_in(**phone)
    looking.goto(made)
    assert looking.evaluate("document.documentElement.scrollWidth") <= 390
