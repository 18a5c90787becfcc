"""Without JavaScript every page reads and every action works."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_the_whole_story_without_scripts(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in(java_script_enabled=False)
    page.get_by_role("link", name="Launch a job").click()
    page.get_by_role("checkbox", name="query_customers").check()
    page.get_by_role("checkbox", name="query_orders").check()
    page.get_by_role("button", name="Launch ticked").click()
    page.get_by_label("Priority").fill("3")
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.locator(".said")).to_contain_text("is launched")
    expect(page.locator("#why")).to_contain_text("Pool database is full: 1 of 1 in use")

    page.get_by_role("link", name="Pools").first.click()
    row = page.locator("#p-database")
    row.get_by_role("spinbutton").fill("2")
    row.get_by_role("button", name="Save").click()
    expect(page.locator(".said")).to_contain_text("Limit of database is 2.")
    expect(page.locator("#p-database").get_by_role("img")).to_have_accessible_name("database: 2 of 2 slots in use")

    page.locator("#p-database").get_by_role("link", name="database").click()
    page.get_by_text("Pause", exact=True).click()
    page.locator("#pool-actions .menu.pause").get_by_label("Reason, shown to all who wait").fill("maintenance")
    page.get_by_role("button", name="Pause database").click()
    expect(page.locator("#pool-head")).to_contain_text("maintenance")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#pool-head")).not_to_contain_text("Paused by")

    page.get_by_role("link", name="Run limits").first.click()
    page.get_by_label("Tag required").fill("team")
    page.get_by_label("Value").fill("growth")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".said")).to_contain_text("Run limit team=growth: 1.")
    page.get_by_role("button", name="Delete the limit on team=growth").click()
    expect(page.locator(".said")).to_contain_text("is deleted")

    page.get_by_role("link", name="Runs").first.click()
    page.locator("#runs tbody a.nm").first.click()
    page.get_by_role("button", name="Cancel run").click()
    expect(page.locator(".said")).to_contain_text("cancel")
