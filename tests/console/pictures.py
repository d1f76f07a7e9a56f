"""`python -m tests.console.pictures`: takes docs/images/console-*.png of a real run."""

from __future__ import annotations

import asyncio
import math
from itertools import count
from pathlib import Path
from typing import Final

import aiohttp
from playwright.async_api import Browser, Page, expect

from local.console.actions import Signature
from local.console.fault_injection import FaultKind, Injection
from local.console.run import Running, run_with_console
from local.functions import PROJECT
from local.pipeline import SECRET
from local.samples import load_samples, sign
from tests.console.page_harness import (
    TIMEOUT_MS,
    Scheme,
    find_chromium,
    observed_page,
    run_browser,
)

FOLDER: Final = PROJECT / "docs" / "images"
_SECONDS: Final = 66


async def take(folder: Path, executable: str) -> None:
    """Takes every picture.

    Args:
        folder: where to save them.
        executable: the path of the browser.
    """
    expect.set_options(timeout=TIMEOUT_MS)
    async with run_with_console() as running, run_browser(executable) as browser:
        async with observed_page(browser, running.url) as console:
            await _send_traffic(console.page, running)
        for scheme in ("light", "dark"):
            await _overview(browser, running, folder, scheme)
            await _details(browser, running, folder, scheme)
        await _failed_later(browser, running, folder)
        await _batches(browser, running, folder)
        await _narrow(browser, running, folder)
        await _failures(browser, running, folder)


async def _send_traffic(page: Page, running: Running) -> None:
    """Sends a minute of traffic, in which AEP throttles and stores nothing for a while each.

    Then every sample.
    """
    wave = (4 + int(40 * abs(math.sin(number / 7))) for number in count())
    for second, events in zip(range(_SECONDS), wave, strict=False):
        if second == _SECONDS // 3:
            running.actions.injector.inject(Injection(FaultKind.THROTTLE, share=0.6))
        if second == _SECONDS * 3 // 4:
            running.actions.injector.inject(Injection(FaultKind.SCHEMA))
        if second in {_SECONDS // 2, _SECONDS * 3 // 4 + 2}:
            running.actions.injector.clear()
        sample = load_samples()[second % len(load_samples())]
        running.actions.sender.burst(sample.body.decode(), events, Signature.RIGHT)
        await asyncio.sleep(1)  # the pictures show a rate, so there is no state to wait for
    await page.get_by_label("Number of events").fill("3")
    await page.get_by_label("Signature").select_option("wrong")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("[data-count=rejected]")).to_have_text("3")
    async with aiohttp.ClientSession() as session:
        for sample in load_samples():
            headers = sign(sample.body, SECRET)
            async with session.post(running.webhook_url, data=sample.body, headers=headers):
                pass
    await expect(page.locator("[data-count=waiting]")).to_have_text("0")
    await expect(page.locator("[data-count=delivering]")).to_have_text("0")
    await expect(page.locator("[data-count=ingesting]")).to_have_text("0")


async def _overview(browser: Browser, running: Running, folder: Path, scheme: Scheme) -> None:
    async with observed_page(browser, running.url, scheme=scheme) as console:
        await console.page.locator("#event-list [role=row]").nth(5).wait_for()
        await console.page.screenshot(path=folder / f"console-{scheme}.png")


async def _details(browser: Browser, running: Running, folder: Path, scheme: Scheme) -> None:
    async with observed_page(browser, running.url, scheme=scheme, height=1000) as console:
        page = console.page
        await page.get_by_label("Search events").fill("nps.submitted oskar")
        await page.locator("#event-list .body [role=row]").first.click()
        await page.get_by_role("tab", name="XDM").click()
        await page.get_by_role("region", name="The XDM in AEP").wait_for()
        await page.locator("#work").evaluate("element => element.scrollIntoView()")
        name = "opened" if scheme == "light" else "opened-dark"
        await page.screenshot(path=folder / f"console-{name}.png")


async def _failed_later(browser: Browser, running: Running, folder: Path) -> None:
    """Shows an event that AEP accepted and could not store."""
    async with observed_page(browser, running.url, height=1000) as console:
        page = console.page
        await page.get_by_role("button", name="failed later").click()
        await page.locator("#event-list .body [role=row]").first.click()
        await page.locator(".timeline li", has_text="Failed later").wait_for()
        await page.locator("#work").evaluate("element => element.scrollIntoView()")
        await page.screenshot(path=folder / "console-failed-later.png")


async def _batches(browser: Browser, running: Running, folder: Path) -> None:
    async with observed_page(browser, running.url) as console:
        await console.page.get_by_role("tab", name="Batches").click()
        await console.page.locator("#batch-list .body [role=row]").first.wait_for()
        await console.page.screenshot(path=folder / "console-batches.png")


async def _narrow(browser: Browser, running: Running, folder: Path) -> None:
    async with observed_page(browser, running.url, width=400, height=860, scale=1.5) as console:
        page = console.page
        await page.screenshot(path=folder / "console-narrow.png")
        await page.locator("#event-list .body [role=row]").first.click()
        await page.locator(".timeline li").first.wait_for()
        await page.screenshot(path=folder / "console-narrow-opened.png")


async def _failures(browser: Browser, running: Running, folder: Path) -> None:
    """Shows refused events while AEP throttles."""
    async with observed_page(browser, running.url) as console:
        page = console.page
        await page.get_by_role("switch", name="AEP refuses events").click()
        await page.get_by_label("Sample").select_option("poll_submitted_several")
        await page.get_by_label("Number of events").fill("100")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#sent")).to_have_text("The burst of 100 has finished.")
        await expect(page.locator("[data-count=delivering]")).to_have_text("0")
        await expect(page.locator("[data-count=waiting]")).to_have_text("0")
        await page.get_by_label("AEP throttles: how much").select_option("half")
        await page.get_by_role("switch", name="AEP throttles").click()
        await page.get_by_role("tab", name="Dead letters").click()
        await page.locator("#active-faults li").nth(1).wait_for()
        await page.screenshot(path=folder / "console-trouble.png")


def main() -> None:
    """Runs the command."""
    executable = find_chromium()
    if executable is None:
        raise SystemExit("Chromium is not installed, and is needed to take the pictures.")
    asyncio.run(take(FOLDER, executable))


if __name__ == "__main__":
    main()
