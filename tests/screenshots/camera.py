"""Opens every page in a Chromium and takes its picture."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests import servers
from tests.deployments import ROOT
from tests.pages import EXAMPLES
from tests.screenshots.serve import MOMENT
from tests.screenshots.still import Still

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"]
IN_DOCS = {"overview-light": "overview", "overview-dark": "overview-dark", "run-light": "run", "pool-light": "pool"}
SIZES = {"light": (1440, 900), "dark": (1440, 900), "phone": (390, 844)}


def photograph(still: Still, target: Path, only: list[str]) -> None:
    """Write `NAME-light.png`, `NAME-dark.png` and `NAME-phone.png` of each page, or of those named in `only`."""
    target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=servers.chromium_binary(), args=ARGUMENTS)
        page = browser.new_context(reduced_motion="reduce", timezone_id="UTC", locale="en-GB").new_page()
        page.clock.set_fixed_time(MOMENT)
        page.goto(still.login_link)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{still.url}/")
        for name, where in _examples().items():
            if not only or name in only:
                for look in SIZES:
                    _take(page, still.url + where.format(**still.names), look, target / f"{name}-{look}.png")
        browser.close()


def _examples() -> dict[str, str]:
    """The examples of all pages by the names of their pictures: `run`, `run-2`, `run-3`."""
    return {
        name if n == 1 else f"{name}-{n}": where
        for name, examples in EXAMPLES.items()
        for n, where in enumerate(examples, 1)
    }


def _take(page: Page, address: str, look: str, target: Path) -> None:
    width, height = SIZES[look]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme="dark" if look == "dark" else "light", reduced_motion="reduce")
    page.goto(address)
    page.evaluate("document.fonts.ready")
    live = page.locator("#live")
    if live.is_visible():
        page.locator('#live[data-state="live"]').wait_for()
    expect(page.locator(".told > [role=status]")).to_have_count(0)  # what would start it sooner has come
    page.screenshot(path=target, full_page=True)
    if target.stem in IN_DOCS:
        page.screenshot(path=ROOT / "docs" / "images" / f"{IN_DOCS[target.stem]}.png")
