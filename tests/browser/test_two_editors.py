"""Two people edit one limit: the second is told what changed, and chooses. What is being typed is never overwritten."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_the_second_editor_chooses(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/database/")
    expect(page.locator("#live")).to_have_text("Live")
    limit = page.locator("#editor").get_by_role("spinbutton")
    reason = page.locator("#editor").get_by_label("Reason")
    limit.fill("7")
    reason.fill("half a sent")

    sluice.manage("concurrency", "set", "database", "4", "--why", "night shift")
    expect(page.locator("#pool-head")).to_contain_text("of 4 in use")
    expect(limit).to_have_value("7")
    expect(reason).to_have_value("half a sent")

    page.locator("#editor").get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("was changed since you looked")
    expect(dialog).to_contain_text("night shift")
    dialog.get_by_role("button", name="Keep 4").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#pool-head")).to_contain_text("of 4 in use")

    page.locator("#editor").get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_role("button", name="Set 7").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#pool-head")).to_contain_text("of 7 in use")
    expect(page.locator("#changes")).to_contain_text("4 → 7")


def test_an_untouched_stepper_follows(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/")
    expect(page.locator("#live")).to_have_text("Live")
    limit = page.locator("#p-api").get_by_role("spinbutton")
    expect(limit).to_have_value("3")
    sluice.manage("concurrency", "set", "api", "5")
    expect(limit).to_have_value("5")
    page.locator("#p-api").get_by_role("button", name="Raise the limit of api").click()
    page.locator("#p-api").get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Limit of api is 6.")
