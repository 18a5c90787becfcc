"""By keyboard: finding, moving, changing a limit; and nothing while somebody types."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_why_an_op_waits_is_found_by_its_name(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    sluice.manage("concurrency", "set", "database", "0")
    sluice.launch("--select", "query_customers,asset_a")
    page = sign_in()
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Find a run")
    expect(palette.get_by_role("link", name="Overview")).to_be_visible()
    page.keyboard.type("query_cust")
    expect(palette.get_by_role("heading", name="Ops waiting")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#why")).to_contain_text("is closed: its limit is 0")
    page.keyboard.press("Control+k")
    page.keyboard.type("a")
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    sluice.manage("concurrency", "set", "database", "1")


def test_a_limit_is_raised_and_undone_by_single_keys(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    sluice.manage("concurrency", "set", "api", "3")
    page = sign_in()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url(f"{sluice.url}/pools/")
    row = page.locator("#p-api")
    page.keyboard.press("j")
    for _ in range(10):
        if row.get_by_role("link", name="api").evaluate("link => link === document.activeElement"):
            break
        page.keyboard.press("j")
    for key in "++s":
        page.keyboard.press(key)
    expect(page.locator("#toasts")).to_contain_text("Limit of api is 5.")
    page.keyboard.press("z")
    expect(page.locator("#toasts")).to_contain_text("is undone by change")
    expect(row.get_by_role("spinbutton")).to_have_value("3")


def test_keys_do_nothing_while_somebody_types_or_has_turned_them_off(
    sign_in: Callable[..., Page], sluice: Deployment
) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/api/")
    reason = page.locator("#editor").get_by_label("Reason")
    reason.click()
    page.keyboard.type("/gp?+")
    expect(reason).to_have_value("/gp?+")
    reason.blur()
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keys")
    help_.get_by_role("checkbox").uncheck()
    help_.get_by_role("button", name="Close").click()
    page.keyboard.press("/")
    expect(page.locator("#palette")).to_be_hidden()
    page.reload()
    page.keyboard.press("/")
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()


def test_a_key_leads_to_a_new_rule_and_another_to_a_retry(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    for key in "gl":
        page.keyboard.press(key)
    page.wait_for_url(f"{sluice.url}/queue/limits/")
    page.keyboard.press("n")
    tag = page.locator("#add-rule").get_by_label("Tag")
    expect(tag).to_be_focused()
    expect(tag).to_have_value("")
    uid = sluice.launch("--select", "asset_a", "--tag", "dagster/max_runtime=1")
    page.goto(f"{sluice.url}/runs/{uid}/")
    expect(page.locator("#run-head")).to_contain_text("Failed")
    page.keyboard.press("R")
    expect(page.locator("#run-head")).to_contain_text("Executes again")


def test_a_pool_is_paused_by_a_key(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/api/")
    page.keyboard.press("p")
    page.get_by_role("button", name="Pause api").click()
    expect(page.locator("#pool-head")).to_contain_text("Paused by admin")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#pool-head")).not_to_contain_text("Paused by")
