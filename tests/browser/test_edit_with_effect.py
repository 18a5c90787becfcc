"""From what waits to the limit that keeps it waiting, with what a higher one will do, to a start."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_the_advice_is_followed_in_two_clicks(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    sluice.manage("concurrency", "set", "database", "0")
    uid = sluice.launch("--select", "query_orders")
    page = sign_in()
    page.goto(f"{sluice.url}/runs/{uid}/")
    advice = page.locator("#why .do li", has_text="limit 0 → 1")
    expect(advice).to_contain_text("Starts now")

    advice.get_by_role("link", name="Edit limit of database").click()
    expect(page.get_by_role("spinbutton", name="Limit of database")).to_have_value("1")
    effect = page.locator("#effect")
    expect(effect).to_contain_text("1 queued run whose first ops need it starts now.")
    page.get_by_role("button", name="Lower the limit").click()
    expect(effect).to_contain_text("0 slots in use, of 0.")
    page.get_by_role("button", name="Raise the limit").click()
    expect(effect).to_contain_text("1 queued run whose first ops need it starts now.")
    page.locator("#editor").get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Limit of database is 1.")
    page.goto(f"{sluice.url}/runs/{uid}/")
    expect(page.locator("#run-head")).to_contain_text("Succeeded", timeout=30_000)
