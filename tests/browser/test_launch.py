"""Launching a job with params: three clicks, errors where they are, the same as YAML, kept as a preset."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_a_job_is_launched_with_params_in_three_clicks(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.get_by_role("link", name="Launch a job").click()
    page.locator("tr", has_text="copies").get_by_role("link", name="Launch").click()
    page.get_by_label("table").fill("orders")
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page.locator(".said")).to_contain_text("copies")
    params = page.locator(".params")
    expect(params).to_contain_text("table: orders")
    expect(params).to_contain_text("- id\n- total")


def test_a_launch_is_written_by_keyboard_and_what_was_typed_is_never_lost(
    sign_in: Callable[..., Page], sluice: Deployment
) -> None:
    sluice.manage("concurrency", "rule", "team", "0", "--value", "growth")
    page = sign_in()
    page.keyboard.press("Control+k")
    page.keyboard.type("launch copies")
    palette = page.get_by_role("dialog", name="Find a run")
    expect(palette.get_by_role("link", name="Launch copies")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{sluice.url}/jobs/copies/launch/")

    # Limits follow the tags while they are typed, and nothing else is touched.
    limits = page.locator("#limits")
    expect(limits).to_contain_text("The run would start at once")
    page.get_by_label("table").fill("orders")
    tags = page.get_by_label("Run tags")
    tags.click()
    page.keyboard.type("team=growth")
    expect(limits).to_contain_text("Run limit team=growth is closed: its limit is 0")
    expect(tags).to_be_focused()
    expect(tags).to_have_value("team=growth")

    # What is wrong is said at its field, which has the focus.
    rows = page.get_by_role("spinbutton", name="rows")
    page.get_by_label("columns").fill("id\nname")
    rows.fill("0")
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".wrong")).to_contain_text("greater than or equal to 1")
    expect(rows).to_be_focused()
    rows.fill("7")

    # The same as YAML, and back.
    page.get_by_role("button", name="YAML").click()
    text = page.get_by_label("Params, tags and priority")
    expect(text).to_contain_text("table: orders\n    rows: 7")
    text.fill(text.input_value().replace("rows: 7", "rows: 8"))
    page.get_by_role("button", name="Form", exact=True).click()
    expect(rows).to_have_value("8")
    expect(page.get_by_label("columns")).to_have_value("id\nname")

    # Enter beside the name keeps it, and launches nothing.
    page.get_by_label("New preset").fill("some")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_contain_text("Preset some is saved.")
    page.get_by_role("link", name="some").click()
    expect(rows).to_have_value("8")

    rows.press("Control+Enter")
    page.wait_for_url(f"{sluice.url}/runs/*/")
    expect(page.locator("#why")).to_contain_text("team=growth")
    page.get_by_role("link", name="Launch again with changes…").click()
    expect(rows).to_have_value("8")
    expect(tags).to_have_value("team=growth")
    sluice.manage("concurrency", "rule-delete", "team", "--value", "growth")
