"""A slot is held by nobody alive: the audit shows it with its evidence, one click frees it, and that is recorded."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.deployments import Deployment

NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


@pytest.fixture
def stuck(sluice: Deployment) -> Iterator[str]:
    """An op that has ended and holds a slot of `database` all the same, as no bug may leave it. Its holder's name."""
    uid = sluice.launch("--select", "query_orders")
    deadline = time.monotonic() + 30
    while sluice.ask(f"SELECT state FROM runs_run WHERE uid = '{uid}'") != [("success",)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    of_run = f"run_id = (SELECT id FROM runs_run WHERE uid = '{uid}')"
    ((op, token),) = sluice.ask(f"SELECT id, token FROM runs_op WHERE {of_run}")
    with closing(sqlite3.connect(f"{sluice.folder}/sluice.sqlite3", timeout=10)) as database, database:
        database.execute(
            "INSERT INTO pools_hold (holder, slots, token, priority, since, gate_id)"
            f" SELECT 'op:{op}', 1, {token}, 0, {NOW}, id FROM pools_gate WHERE key = 'pool:database'"
        )
        database.execute("UPDATE pools_gate SET in_use = in_use + 1 WHERE key = 'pool:database'")
    yield f"op:{op}"
    sluice.manage("audit", "--repair")


def test_a_stuck_slot_is_freed_by_one_click(sign_in: Callable[..., Page], sluice: Deployment, stuck: str) -> None:
    waiting = sluice.launch("--select", "query_customers")
    page = sign_in()
    page.goto(f"{sluice.url}/audit/")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("button", name="Audit now").click()
    expect(page.locator("#toasts")).to_contain_text("Drift: 1.")
    card = page.locator(".berth.stuck")
    expect(card).to_contain_text("query_orders")
    expect(card).to_contain_text("is success")
    expect(page.locator("#count-audit")).to_have_text("1")
    expect(page.locator("#k-hold_stuck")).to_contain_text("1")

    card.get_by_role("link", name="Evidence").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Slots are held by nobody alive")
    expect(dialog).to_contain_text("pool:database: 1")
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()

    page.evaluate("window.untouched = true")
    card.get_by_role("link", name="Release").click()
    expect(page.locator("#toasts")).to_contain_text(f"Released: {stuck}.")
    expect(page.locator(".berth.stuck")).to_have_count(0)
    expect(page.locator("#stuck")).to_contain_text("No stuck slot")
    expect(page.locator("#count-audit")).to_have_text("")
    expect(page.locator("#repairs tbody tr").first).to_contain_text(f"{stuck} holds a slot of pool database")
    assert page.evaluate("window.untouched"), "the page was reloaded"

    # Whoever waited for the slot has it now.
    page.goto(f"{sluice.url}/runs/{waiting}/")
    expect(page.locator("#run-head")).to_contain_text("Succeeded", timeout=30_000)


def test_the_same_without_scripts(sign_in: Callable[..., Page], sluice: Deployment, stuck: str) -> None:
    page = sign_in(java_script_enabled=False)
    page.goto(f"{sluice.url}/audit/")
    page.get_by_role("button", name="Audit now").click()
    expect(page.locator(".said")).to_contain_text("Drift: 1.")
    page.locator(".berth.stuck").get_by_role("link", name="Evidence").click()
    expect(page.locator("main")).to_contain_text("pool:database: 1")
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".said")).to_contain_text(f"Released: {stuck}.")


def test_a_stuck_slot_is_seen_at_its_pool_and_fits_a_phone(
    sign_in: Callable[..., Page], sluice: Deployment, stuck: str
) -> None:
    page = sign_in(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto(f"{sluice.url}/audit/")
    page.get_by_role("button", name="Audit now").click()
    expect(page.locator(".berth.stuck")).to_be_visible()
    for where in ("/audit/", "/", "/pools/database/"):
        page.goto(sluice.url + where)
        expect(page.get_by_text("is success").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, where
