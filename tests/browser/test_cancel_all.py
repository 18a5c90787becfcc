"""Cancel all runs that match, from the list: asked by verb and number, seen to by the engine, followed live."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.deployments import Deployment

MANY = 120  # more than are canceled by a click alone


@pytest.fixture(scope="module")
def sluice() -> Iterator[Deployment]:
    """A deployment whose run queue is closed."""
    deployment = Deployment("--no-demo", "--workers", "1", CONTROLPLANE_MODULES="tests.browser.jobs").wait_until_up()
    deployment.manage("concurrency", "runs", "0")
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


def launch(sluice: Deployment, count: int, tag: str) -> None:
    """So many queued runs, launched by one process."""
    key, value = tag.split("=")
    sluice.manage(
        "shell",
        "-v0",
        "-c",
        "from runs import catalog, launch\n"
        "job = launch.find_job(catalog.current(), 'patient')\n"
        f"for _ in range({count}):\n"
        f"    launch.launch(job, who='ada', door='cli', tags={json.dumps({key: value})})",
    )


def states(sluice: Deployment, tag: str) -> set[str]:
    key, value = tag.split("=")
    return {
        state
        for (state,) in sluice.ask(
            "SELECT DISTINCT r.state FROM runs_run r JOIN runs_runtag t ON t.run_id = r.id"
            f" WHERE t.key = '{key}' AND t.value = '{value}'"
        )
    }


def test_a_few_in_two_clicks(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    launch(sluice, 3, "team=growth")
    launch(sluice, 2, "team=core")
    watcher = sign_in()
    watcher.goto(f"{sluice.url}/queue/")
    expect(watcher.locator("#live")).to_have_text("Live")
    page = sign_in()
    page.goto(f"{sluice.url}/runs/?tag=team%3Dgrowth")
    page.get_by_role("link", name="Cancel all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cancel 3 runs?")
    dialog.get_by_role("button", name="Keep them").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Cancel all that match").click()
    dialog.get_by_role("button", name="Cancel 3 runs").click()
    expect(page.locator("#toasts")).to_contain_text("3 runs are canceled in 10 s")
    expect(page.locator("#runs tbody tr", has_text="Canceled")).to_have_count(3, timeout=30_000)
    expect(watcher.locator("#bulk-cancel")).to_contain_text("3 runs are canceled by admin")
    assert states(sluice, "team=core") == {"queued"}


def test_for_many_their_number_is_typed(sign_in: Callable[..., Page], sluice: Deployment) -> None:
    launch(sluice, MANY, "batch=1")
    page = sign_in()
    page.goto(f"{sluice.url}/runs/?state=queued&tag=batch%3D1")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("link", name="Cancel all that match").click()
    dialog = page.get_by_role("dialog")
    number = dialog.get_by_label(f"Type {MANY} to confirm")
    expect(number).to_be_focused()
    number.fill("12")
    dialog.get_by_role("button", name=f"Cancel {MANY} runs").click()
    expect(dialog).to_contain_text("That was another number.")
    assert states(sluice, "batch=1") == {"queued"}
    number.fill(str(MANY))
    number.press("Enter")
    expect(dialog).to_be_hidden()
    undo = page.locator("#bulk-cancel").get_by_role("link", name="Undo")
    undo.click()
    expect(page.locator("#bulk-cancel")).to_contain_text("Nothing was canceled: admin undid it")
    assert states(sluice, "batch=1") == {"queued"}
    page.get_by_role("link", name="Cancel all that match").click()
    number.fill(str(MANY))
    number.press("Enter")
    expect(page.locator("#bulk-cancel")).to_contain_text(f"{MANY} runs are canceled by admin", timeout=30_000)
    assert states(sluice, "batch=1") == {"canceled"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_on_a_phone(sign_in: Callable[..., Page], sluice: Deployment, scheme: str) -> None:
    theme = f"{scheme}_as_the_night_is_long_and_without_a_space_to_break_it_at"
    launch(sluice, MANY, f"theme={theme}")
    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    page = sign_in(java_script_enabled=False, **phone)
    page.goto(f"{sluice.url}/runs/?tag=theme%3D{theme}")
    page.get_by_role("link", name="Cancel all that match").click()
    page.get_by_label(f"Type {MANY} to confirm").fill(str(MANY))
    page.get_by_role("button", name=f"Cancel {MANY} runs").click()
    expect(page.locator(".said")).to_contain_text(re.compile("runs are canceled"))
    expect(page.locator("#bulk-cancel")).to_contain_text("by admin")
    looking = sign_in(**phone)
    for where in ("/queue/", f"/runs/?tag=theme%3D{theme}", f"/runs/cancel/?tag=theme%3D{theme}"):
        looking.goto(sluice.url + where)
        assert looking.evaluate("document.documentElement.scrollWidth") <= 390, where
