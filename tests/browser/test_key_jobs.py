"""The jobs that people come for, in the clicks and keys that they may take; what is typed in fields is not counted.

docs/reference/pages.md has them in a table. The last story does without scripts what the newest pages are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from tests.screenshots.still import Still


class Hand:
    """Somebody at the overview, whose clicks and keys are counted."""

    def __init__(self, page: Page, still: Still) -> None:
        self.page = page
        self.url = still.url
        self.clicks = 0
        self.keys = 0
        self.begin("/")

    def begin(self, where: str) -> None:
        self.page.goto(self.url + where)
        self.clicks = self.keys = 0

    def click(self, what: Locator) -> None:
        self.clicks += 1
        what.click()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.keys += 1
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def told(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator("#toasts, .said").first).to_contain_text(text, timeout=15_000)


@pytest.fixture
def hand(browser: Browser, known: StorageState, still: Still) -> Iterator[Hand]:
    context = browser.new_context(
        storage_state=known, viewport={"width": 1280, "height": 900}, timezone_id="Asia/Tokyo"
    )
    yield Hand(context.new_page(), still)
    context.close()


def test_1_a_limit_is_raised_in_3_clicks_or_4_keys(hand: Hand) -> None:
    row = hand.page.locator("#p-warehouse")
    up = row.get_by_role("button", name="Raise the limit of warehouse")
    for button in (up, up, row.get_by_role("button", name="Save")):
        hand.click(button)
    hand.told("Limit of warehouse is 10.")
    assert hand.clicks == 3
    hand.begin("/pools/warehouse/")
    hand.begin("/")
    while row.get_by_role("link").first.evaluate("link => link !== document.activeElement"):
        hand.press("j")
    looked = hand.keys  # one for each row above it
    hand.press("+", "+", "s")
    hand.told("Limit of warehouse is 12.")
    assert hand.keys - looked == 3


def test_2_why_something_waits_is_read_after_1_click_or_2_keys(hand: Hand) -> None:
    hand.click(hand.page.locator("#next a[href^='/runs/']").first)
    expect(hand.page.locator("#why .why").first).to_contain_text("The run queue is full")
    assert hand.clicks == 1
    comes_after_the_page(hand.page)
    hand.begin("/")
    hand.press("Control+k")
    hand.type("load_partition")
    palette = hand.page.get_by_role("dialog", name="Find a run")
    expect(palette.get_by_role("heading", name="Ops waiting")).to_be_visible()
    hand.press("Enter")
    expect(hand.page).to_have_url(re.compile("/ops/load_partition"))
    assert hand.keys == 2


def comes_after_the_page(page: Page) -> None:
    """What would start it sooner: it says when it could not be loaded, and is loaded by a click then."""
    sooner = page.locator("#why .do")
    expect(sooner).to_contain_text(re.compile(r"limit \d+ → \d+"))
    page.route("**/sooner/", lambda route: route.abort())
    page.reload()
    expect(sooner).to_contain_text("It could not be loaded: the server does not answer.")
    page.unroute("**/sooner/")
    sooner.get_by_role("link", name="Try again").click()
    expect(sooner).to_contain_text(re.compile(r"limit \d+ → \d+"))


def test_3_a_job_is_launched_in_3_clicks_or_3_keys(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("link", name="Launch a job"))
    hand.click(hand.page.get_by_role("row", name="inventory").get_by_role("link", name="Launch"))
    hand.click(hand.page.get_by_role("button", name="Launch", exact=True))
    hand.told("is launched")
    assert hand.clicks == 3
    hand.begin("/")
    hand.press("Control+k")
    hand.type("launch inventory")
    expect(hand.page.get_by_role("dialog").get_by_role("link", name="Launch inventory")).to_be_visible()
    hand.press("Enter")
    hand.page.wait_for_url("**/jobs/inventory/launch/")
    hand.page.locator("form [name]:visible").first.focus()
    hand.press("Control+Enter")
    hand.told("is launched")
    assert hand.keys == 3


def test_5_a_failed_run_is_retried_in_1_click_or_1_key_on_its_page(hand: Hand) -> None:
    row = hand.page.locator("#needs-a-person li", has_text="nightly_billing failed").first
    hand.click(row.get_by_role("link", name="Retry from failure"))
    hand.told(re.compile("executes [0-9a-f]{8} again."))
    assert hand.clicks == 1
    hand.begin("/runs/?state=failure")
    hand.page.locator("#runs tbody a.nm").last.click()
    hand.page.wait_for_url("**/runs/*/")
    hand.press("R")
    hand.told(re.compile("executes [0-9a-f]{8} again."))
    assert hand.keys == 1


def test_6_a_stuck_slot_is_freed_in_1_click(hand: Hand) -> None:
    row = hand.page.locator("#needs-a-person li", has_text="held by nobody alive")
    expect(row).to_contain_text("charge_invoices of run", use_inner_text=True)  # the evidence, beside the button
    hand.click(row.get_by_role("link", name="Release"))
    hand.told("Released: op:")
    assert hand.clicks == 1


def test_7_a_pool_is_paused_in_2_clicks_or_2_keys(hand: Hand) -> None:
    hand.begin("/pools/dbt/")
    menu = hand.page.locator("#pool-actions .menu.pause")
    hand.click(menu.locator("summary"))
    menu.get_by_label("or at (Asia/Tokyo)").fill("09:30")
    hand.click(hand.page.get_by_role("button", name="Pause dbt"))
    expect(hand.page.locator("#pool-head")).to_contain_text("Paused by admin")
    expect(hand.page.locator("#pool-head")).to_contain_text(", 09:30")
    assert hand.clicks == 2
    hand.begin("/pools/s3_ingest/")
    hand.press("p", "Enter")
    expect(hand.page.locator("#pool-head")).to_contain_text("Paused by admin")
    assert hand.keys == 2


def test_8_history_is_on_the_page_of_a_pool_and_90_days_are_1_click_or_2_keys_away(hand: Hand) -> None:
    hand.press("g", "h")
    hand.page.wait_for_url("**/history/")
    assert hand.keys == 2
    hand.begin("/pools/warehouse/")
    expect(hand.page.get_by_role("heading", name="Use and waiting")).to_be_visible()
    hand.click(hand.page.get_by_role("link", name="90 d"))
    expect(hand.page.get_by_role("heading", level=1)).to_have_text("History of warehouse")
    assert hand.clicks == 1


def test_10_a_tag_limit_is_set_in_2_clicks_or_4_keys(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("navigation", name="Main").get_by_role("link", name="Run limits"))
    hand.page.get_by_label("Tag required").fill("team")
    hand.page.get_by_label("Value").fill("platform")
    hand.click(hand.page.get_by_role("button", name="Add"))
    hand.told("Run limit team=platform: 1.")
    assert hand.clicks == 2
    hand.begin("/")
    hand.press("g", "l")
    hand.page.wait_for_url("**/queue/limits/")
    hand.press("n")
    hand.type("team")
    hand.page.get_by_label("Value").fill("ml")
    hand.press("Enter")
    hand.told("Run limit team=ml: 1.")
    assert hand.keys == 4


def test_4_a_bunch_of_runs_is_canceled_in_4_clicks(hand: Hand) -> None:
    hand.click(hand.page.get_by_role("navigation", name="Main").get_by_role("link", name="Runs"))
    hand.click(hand.page.locator("#runs a.tag", has_text="growth").first)
    hand.click(hand.page.get_by_role("link", name="Cancel all that match"))
    hand.click(hand.page.get_by_role("dialog").get_by_role("button", name=re.compile(r"Cancel \d+ runs")))
    hand.told("are canceled")
    assert hand.clicks == 4


def test_the_newest_pages_do_their_jobs_without_scripts(browser: Browser, known: StorageState, still: Still) -> None:
    context = browser.new_context(storage_state=known, java_script_enabled=False)
    page = context.new_page()
    said = page.locator(".said")

    # A launch with params of params, kept as a preset.
    page.goto(f"{still.url}/jobs/daily_marts/launch/")
    page.get_by_label("lookback_days").fill("5")
    page.get_by_label("to required").fill("finance")
    page.get_by_label("New preset").fill("month end")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("lookback_days")).to_have_value("5")
    page.get_by_role("link", name="month end").click()
    expect(page.get_by_label("to required")).to_have_value("finance")
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(said).to_contain_text("is launched")

    # What would start it sooner leads to where that is done.
    page.get_by_role("link", name="What would start it sooner").first.click()
    page.get_by_role("link", name="Raise the priority").click()
    page.locator("#run-actions").get_by_role("spinbutton").fill("9")
    page.locator("#run-actions").get_by_role("button", name="Save").click()
    expect(said).to_contain_text("9")

    # A pause with a reason and an end, in UTC.
    page.goto(f"{still.url}/pools/gpu_a10/")
    page.get_by_text("Pause", exact=True).click()
    menu = page.locator("#pool-actions .menu.pause")
    menu.get_by_label("Reason, shown to all who wait").fill("new drivers")
    menu.get_by_label("or at (UTC)").fill("23:59")
    page.get_by_role("button", name="Pause gpu_a10").click()
    expect(page.locator("#pool-head")).to_contain_text(re.compile(", 23:59: new drivers"))

    # A filter, kept as a view; all that match are canceled after a look at how many.
    page.goto(f"{still.url}/runs/")
    page.get_by_label("Tag").fill("team=ops")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Save this view").click()
    page.get_by_label("Name of this view").fill("ours")
    page.get_by_role("button", name="Save view").click()
    page.get_by_role("link", name="ours").click()
    page.get_by_role("link", name="Cancel all that match").click()
    expect(page.locator("main")).to_contain_text("what runs is interrupted")
    page.get_by_role("button", name=re.compile(r"Cancel \d+ runs")).click()
    expect(said).to_contain_text(re.compile("runs? (is|are) canceled in 10 s"))
    context.close()
