"""A real Chromium, before a real deployment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState

from tests import servers
from tests.deployments import Deployment
from tests.screenshots.still import Still

LIMITS = """
concurrency:
  runs:
    max_concurrent_runs: 10
    tag_concurrency_limits: []
    block_op_concurrency_limited_runs: {enabled: true}
  pools:
    default_limit: null
    granularity: op
    op_granularity_run_buffer: 0
    limits: {database: 1, api: 3}
"""


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


@pytest.fixture(scope="session")
def shared() -> Iterator[Deployment]:
    """A deployment without the demo, with four workers, for all stories that need nothing else."""
    modules = "examples.concurrency_controls,tests.browser.jobs"
    deployment = Deployment("--no-demo", "--workers", "4", CONTROLPLANE_MODULES=modules).wait_until_up()
    yield deployment
    deployment.stop()
    shutil.rmtree(deployment.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def sluice(shared: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """It, as if nobody had set anything but pools `database` at 1 and `api` at 3."""
    file = tmp_path_factory.mktemp("limits") / "controlplane.yaml"
    file.write_text(LIMITS)
    shared.manage("concurrency", "apply", str(file), "--prune")
    return shared


@pytest.fixture(scope="session")
def signed_in() -> dict[str, StorageState]:
    """What a browser keeps after signing in, by address: to make a link takes a second."""
    return {}


@pytest.fixture
def sign_in(browser: Browser, sluice: Deployment, signed_in: dict[str, StorageState]) -> Iterator[Callable[..., Page]]:
    """Opens a page of a new reader who has signed in; fails the test if the console had an error to tell."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(**options) -> Page:
        kept = {"storage_state": signed_in[sluice.url]} if sluice.url in signed_in else {}
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **kept, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if kept:
            page.goto(f"{sluice.url}/")
            return page
        page.goto(sluice.login_link())
        page.get_by_role("button", name="Sign in as admin").click()
        page.wait_for_url(f"{sluice.url}/")
        signed_in[sluice.url] = context.storage_state()
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A refused change is answered 409 or 422, which a browser reports as a resource that failed to load.
    told = [text for text in complaints if "409" not in text and "422" not in text]
    assert not told, told


@pytest.fixture(scope="module")
def still() -> Iterator[Still]:
    """A deployment that stands still and has something of everything."""
    site = Still()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def known(browser: Browser, still: Still) -> StorageState:
    """What the browser of somebody keeps who has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(still.login_link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{still.url}/")
    state = context.storage_state()
    context.close()
    return state
