"""The pipeline ends while the page is open, and comes back."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from local.console.run import Ports, run_with_console
from local.process import free_port
from tests.console.browser import watched
from tests.console.desk import row, send, shows

pytestmark = pytest.mark.slow


async def test_the_page_says_so_and_comes_back_by_itself(browser: Browser) -> None:
    """Gone, it keeps what it knew and says what to do; back, it shows what is now."""
    ports = Ports(console=free_port())
    async with run_with_console(ports=ports) as first:
        opening = watched(browser, first.url)
        seen = await opening.__aenter__()
        page = seen.page
        await send(page, sample="guide_displayed")
        await shows(page, "accepted", 1)
    try:
        await expect(page.get_by_role("alert")).to_contain_text("python -m local")
        await expect(page.locator("#connection")).to_have_text("Not running")
        await expect(row(page, "guide.displayed")).to_have_count(1)
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#said")).to_contain_text("The console does not answer")

        async with run_with_console(ports=ports):
            await expect(page.locator("#connection")).to_have_text("Live")
            await expect(page.get_by_role("alert")).to_be_hidden()
            await shows(page, "accepted", 0)
            await expect(row(page, "guide.displayed")).to_have_count(0)
            await send(page, sample="guide_displayed")
            await shows(page, "accepted", 1)
    finally:
        seen.forgive("net::ERR_")
        await opening.__aexit__(None, None, None)


async def test_an_empty_console_says_how_to_begin(browser: Browser) -> None:
    """Where nothing has come yet, each list says what would bring something."""
    async with run_with_console() as running, watched(browser, running.url) as seen:
        page = seen.page
        await expect(page.get_by_text(f"point a webhook at {running.webhook_url}")).to_be_visible()
        await page.get_by_role("tab", name="Batches").click()
        await expect(page.get_by_text("AEP has been sent nothing yet.")).to_be_visible()
        await page.get_by_role("tab", name="Dead letters").click()
        await expect(page.get_by_text("No dead letters.")).to_be_visible()
        await expect(page.get_by_role("button", name="Replay all")).to_be_disabled()
