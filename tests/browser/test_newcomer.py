"""A newcomer starts it, opens the printed link, and sees slots, a line and a queue at work."""

from __future__ import annotations

import shutil

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_the_first_page_shows_work(page: Page) -> None:
    deployment = Deployment("--workers", "4", is_new=True).wait_until_up()
    try:
        page.goto(deployment.printed_link)
        page.get_by_role("button", name="Sign in as admin").click()
        expect(page.locator("#verdict h1")).to_contain_text("waiting")
        expect(page.locator("#p-database .slots .held").first).to_be_visible()
        expect(page.locator("#p-database .slots .w").first).to_be_visible()
        expect(page.locator("#next li a").first).to_be_visible()
        expect(page.locator("#next .reason").first).to_contain_text("run queue is full: 4 of 4 in use")
        expect(page.locator("#live")).to_have_text("Live")
    finally:
        deployment.stop()
        shutil.rmtree(deployment.folder, ignore_errors=True)
