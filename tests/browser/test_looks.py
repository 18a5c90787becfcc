"""The pages in the dark, and by keyboard."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_the_theme_is_kept(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.goto(f"{sluice.url}/pools/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_limit_is_changed_by_keyboard(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    limit = page.locator("#p-api").get_by_role("spinbutton")
    limit.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Limit of api is 4.")
