"""A real Chromium, before a real deployment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests import servers
from tests.deployments import Deployment


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    try:
        path = servers.chromium_binary()
    except servers.Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    more = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]
    return {**browser_type_launch_args, "executable_path": path, "args": [*more, *quiet]}


@pytest.fixture(scope="module")
def sluice() -> Iterator[Deployment]:
    """A deployment without the demo, with four workers and pools `database` at 1 and `api` at 3."""
    deployment = Deployment("--no-demo", "--workers", "4").wait_until_up()
    deployment.manage("concurrency", "set", "database", "1")
    deployment.manage("concurrency", "set", "api", "3")
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


@pytest.fixture
def sign_in(browser: Browser, sluice: Deployment) -> Iterator[Callable[..., Page]]:
    """Opens a page of a new reader who has signed in; fails the test if the console had an error to tell."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(**options) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(sluice.login_link())
        page.get_by_role("button", name="Sign in as admin").click()
        page.wait_for_url(f"{sluice.url}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A refused change is answered 409 or 422, which a browser reports as a resource that failed to load.
    told = [text for text in complaints if "409" not in text and "422" not in text]
    assert not told, told
