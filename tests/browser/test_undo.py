"""Change a limit, see it among the changes, undo it from another page, and see the limit as it was."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.deployments import Deployment


def test_a_limit_is_changed_and_undone(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    watcher = sign_in()
    watcher.goto(f"{sluice.url}/changes/")
    expect(watcher.locator("#live")).to_have_text("Live")

    page = sign_in()
    page.goto(f"{sluice.url}/pools/api/")
    expect(page.locator("#live")).to_have_text("Live")
    editor = page.locator("#editor")
    editor.get_by_role("spinbutton").fill("8")
    editor.get_by_label("Reason").fill("catch up")
    editor.get_by_role("button", name="Save").click()
    expect(page.locator("#pool-head")).to_contain_text("of 8 in use")
    expect(page.locator("#changes li").first).to_contain_text("3 → 8")

    # The line came by the stream, and its link opens a dialog all the same.
    row = watcher.locator("#changes tbody tr").first
    expect(row).to_contain_text("3 → 8")
    expect(row).to_contain_text("catch up")
    row.get_by_role("link", name="Undo").click()
    dialog = watcher.get_by_role("dialog")
    expect(dialog).to_contain_text("The limit of api is 3 again.")
    dialog.get_by_label("Reason").fill("caught up")
    dialog.get_by_role("button", name="Undo change").click()
    expect(dialog).to_be_hidden()
    expect(watcher.locator("#toasts")).to_contain_text("is undone by change")
    expect(watcher.locator("#changes tbody tr").first).to_contain_text("8 → 3")

    expect(page.locator("#pool-head")).to_contain_text("of 3 in use")
    expect(editor.get_by_role("spinbutton")).to_have_value("3")
    expect(page.locator("#changes li").first).to_contain_text("caught up")


def test_an_undo_that_comes_too_late_is_refused(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    sluice.manage("concurrency", "set", "api", "4")
    page.goto(f"{sluice.url}/pools/api/")
    page.locator("#changes").get_by_role("link", name="Undo").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Undo change")).to_be_visible()
    sluice.manage("concurrency", "set", "api", "6", "--why", "night shift")
    dialog.get_by_role("button", name="Undo change").click()
    expect(dialog).to_contain_text("Undo refused")
    expect(dialog).to_contain_text("night shift")
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#pool-head")).to_contain_text("of 6 in use")


def test_settings_follow_each_other_and_keep_drafts(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/settings/")
    expect(page.locator("#live")).to_have_text("Live")
    check = page.locator("#check-at-queue")
    buffer = page.locator("#run-buffer")
    buffer.get_by_role("spinbutton").fill("2")
    check.locator("[type=radio][value=off]").check()
    check.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Pool check at the queue: off.")
    expect(page.locator("#in-force")).to_contain_text("Off")
    expect(buffer.get_by_role("spinbutton")).to_have_value("2")
    buffer.get_by_role("button", name="Save").click()  # the other setting has moved the version: no conflict
    expect(page.locator("#toasts")).to_contain_text("Run buffer: 2.")
    expect(page.locator("#changes li").first).to_contain_text("run buffer 0 → 2")

    sluice.manage("concurrency", "default", "7")
    expect(page.locator("#default-limit").get_by_role("spinbutton")).to_have_value("7")

    expect(check.locator("[type=radio][value=off]")).to_be_checked()
    page.locator("#changes li", has_text="on → off").get_by_role("link", name="Undo").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo change").click()
    expect(check.locator("[type=radio][value=on]")).to_be_checked()


def test_a_limit_is_undone_from_its_toast_by_keyboard(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    sluice.manage("concurrency", "set", "api", "3")
    page.clock.install()
    page.goto(f"{sluice.url}/pools/")
    expect(page.locator("#live")).to_have_text("Live")
    limit = page.locator("#p-api").get_by_role("spinbutton")
    limit.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Limit of api is 4.")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.toast') !== null"):
            break
    expect(toast.get_by_role("button", name="Undo")).to_be_focused()
    page.clock.fast_forward(60_000)
    expect(toast).to_be_visible()  # whoever is about to press it is not hurried
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("is undone by change")
    expect(limit).to_have_value("3")

    page.get_by_role("button", name="Raise the limit of api").click()
    page.locator("#p-api").get_by_role("button", name="Save").click()
    page.mouse.move(0, 0)
    button = page.locator(".toast").get_by_role("button", name="Undo").last
    expect(button).to_be_visible()
    page.clock.fast_forward(14_000)
    expect(button).to_be_visible()
    page.clock.fast_forward(2_000)
    expect(button).to_be_hidden()


def test_a_pause_is_undone_from_its_toast(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    page = sign_in()
    page.goto(f"{sluice.url}/pools/api/")
    expect(page.locator("#live")).to_have_text("Live")
    page.locator("#pool-actions .pause summary").click()
    page.get_by_role("button", name="Pause api").click()
    expect(page.locator("#pool-head")).to_contain_text("Paused by admin")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#pool-head")).not_to_contain_text("Paused by")
    expect(page.get_by_role("button", name="Resume")).to_be_hidden()
    expect(page.locator("#pool-actions .pause summary")).to_be_visible()
