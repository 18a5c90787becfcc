"""Launch the customer's assets, watch them wait, raise the limit, and see one more start, without a reload."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect


def launch(page: Page, *assets: str) -> None:
    page.get_by_role("link", name="Launch a job").click()
    for name in assets:
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Launch ticked").click()
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("is launched")


def test_raising_a_limit_starts_one_more(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    for _ in range(2):
        launch(page, "query_customers", "query_orders", "fetch_external_data")

    why = page.locator("#why .why").first
    expect(why).to_contain_text("Pool database is full: 1 of 1 in use")

    page.get_by_role("link", name="Pools").first.click()
    row = page.locator("#p-database")
    expect(row.get_by_role("img")).to_have_accessible_name("database: 1 of 1 slots in use, 3 waiting")
    page.evaluate("window.untouched = true")

    row.get_by_role("button", name="Raise the limit of database").click()
    row.get_by_role("button", name="Save").click()

    expect(row.get_by_role("img")).to_have_accessible_name("database: 2 of 2 slots in use, 2 waiting")
    expect(page.locator("#toasts")).to_contain_text("Limit of database is 2.")
    expect(row.get_by_role("spinbutton")).to_have_value("2")
    assert page.evaluate("window.untouched"), "the page was reloaded"

    # The line goes down by itself, and at last everything has ended.
    expect(row.get_by_role("img")).to_have_accessible_name("database: 0 of 2 slots in use", timeout=40_000)
    page.get_by_role("link", name="Runs").first.click()
    expect(page.locator("#runs tbody tr").first).to_contain_text("Succeeded")


def test_a_run_is_watched_to_its_end(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.get_by_role("link", name="Launch a job").click()
    page.get_by_role("row", name="limited_concurrency_job").get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch", exact=True).click()
    page.evaluate("window.untouched = true")

    expect(page.locator("#why .why").first).to_contain_text("This run's executor is full: 2 of 2 in use")
    expect(page.locator("#log")).to_contain_text("Processing asset A...")
    expect(page.locator("#run-head")).to_contain_text("Succeeded", timeout=30_000)
    expect(page.locator("#timeline .b-ok")).to_have_count(4)
    expect(page.locator("#time")).to_contain_text("This run's executor")
    expect(page.locator("#time time[data-since]")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel run")).to_be_hidden()
    assert page.evaluate("window.untouched"), "the page was reloaded"


def test_a_running_run_is_canceled(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.get_by_role("link", name="Launch a job").click()
    page.get_by_role("row", name="warehouse_job").get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.locator("#log")).to_contain_text("to warehouse" if page.locator("#log").is_hidden() else "warehouse")
    page.get_by_role("button", name="Cancel run").click()
    expect(page.locator("#run-head")).to_contain_text("Canceled", timeout=15_000)
    expect(page.locator("#log")).to_contain_text("The attempt was interrupted.")
