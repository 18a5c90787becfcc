"""See the chart of a pool grow while it is watched, and read its history at another range."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment

A_SAMPLE_OR_TWO = 45_000  # milliseconds


def test_a_pool_is_watched_and_its_history_read(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/api/")
    expect(page.locator("#live")).to_have_text("Live")
    chart = page.locator("#pool-chart")
    used = chart.locator("svg.wide path.used:not(.under)")
    expect(used).to_have_count(1, timeout=A_SAMPLE_OR_TWO)
    chart.get_by_text("Show as table").click()
    before = used.get_attribute("d") or ""

    # An edit is marked at once, and the next sample lengthens the line; the table stays open.
    sluice.manage("concurrency", "set", "api", "6")
    expect(chart.locator("svg.wide .mark title").first).to_contain_text("→ 6 by", timeout=A_SAMPLE_OR_TWO)
    expect(used).not_to_have_attribute("d", before, timeout=A_SAMPLE_OR_TWO)
    expect(chart.get_by_role("columnheader", name="Waiting")).to_be_visible()

    chart.get_by_role("link", name="24 h").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("History of api")
    expect(page.get_by_role("link", name="24 h")).to_have_attribute("aria-current", "true")
    expect(page.get_by_text("History starts at")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "api-24h.csv"

    page.keyboard.press("g")
    page.keyboard.press("h")
    expect(page.get_by_role("heading", level=1)).to_have_text("History")
    expect(page.get_by_role("link", name="api", exact=True)).to_be_visible()

    # The sparklines of the overview stay when what they stand in is drawn anew.
    page.goto(f"{sluice.url}/")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#spark-api svg")).to_have_count(1)
    sluice.manage("concurrency", "set", "api", "3")
    expect(page.locator("#p-api")).to_contain_text("0 / 3")
    expect(page.locator("#spark-api svg")).to_have_count(1)
    expect(page.locator("#spark-figure-slots svg")).to_have_count(1)
