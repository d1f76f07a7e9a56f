"""Accessibility: axe-core finds nothing, in light and dark, wide and narrow."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import (  # type: ignore[import-untyped]  # has no types
    Axe,
)
from playwright.async_api import Browser, Page, expect

from local.console.fault_injection import FaultKind, Injection
from local.console.run import Running
from tests.console.page_harness import (
    ROWS,
    Scheme,
    body_of,
    burst,
    expect_count,
    observed_page,
    row,
    send,
)

pytestmark = pytest.mark.slow


async def check_accessibility(page: Page) -> None:
    """Checks all rules of axe-core, WCAG's and best practices."""
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


async def list_of_events(page: Page) -> None:
    """Shows events with several statuses."""
    await row(page, "rejected").first.wait_for()


async def event_details(page: Page) -> None:
    """Shows one event with its JSON."""
    await page.get_by_label("Search events").fill("nps.submitted stored")
    await page.locator(ROWS).first.click()
    await page.get_by_role("tab", name="XDM").click()
    await page.get_by_role("region", name="The XDM in AEP").wait_for()


async def batches(page: Page) -> None:
    """Shows the requests to AEP."""
    await page.get_by_role("tab", name="Batches").click()
    await page.locator("#batch-list .body [role=row]").first.wait_for()


async def dead_letters(page: Page) -> None:
    """Shows the dead letters."""
    await page.get_by_role("tab", name="Dead letters").click()
    await page.locator("#letter-list .body [role=row]").first.wait_for()


async def injected_failure(page: Page) -> None:
    """Shows the open form and an injected failure."""
    await page.get_by_text("Edit before sending").click()
    await page.get_by_role("switch", name="AEP throttles").click()
    await page.get_by_role("region", name="Injected failures").wait_for()


VIEWS = (list_of_events, event_details, batches, dead_letters, injected_failure)


@pytest.fixture(scope="module", autouse=True)
async def traffic(browser: Browser, running: Running) -> None:
    """Sends something of each kind."""
    async with observed_page(browser, running.url) as console:
        page = console.page
        await burst(page, 30)
        await expect(page.locator("#sent")).to_have_text("The burst of 30 has finished.")
        await page.get_by_label("Number of events").fill("1")
        await send(page, sample="nps_submitted_comment", signature="wrong")
        await send(page, sample="nps_submitted_comment")
        await send(page, body=body_of("guide_displayed", event=""))
        await expect_count(page, "letters", 1)
        await expect_count(page, "in_lake", 31)
        running.actions.injector.inject(Injection(FaultKind.SCHEMA))
        await send(page, sample="guide_displayed")
        await expect_count(page, "failed_later", 1)
        running.actions.injector.clear()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
async def test_axe_finds_nothing(
    browser: Browser, running: Running, scheme: Scheme, width: int, view: object
) -> None:
    """No view has a violation, or reaches beyond the page's right edge."""
    assert callable(view)
    async with observed_page(browser, running.url, width=width, scheme=scheme) as console:
        await view(console.page)
        await check_accessibility(console.page)
        wide = await console.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
    running.actions.injector.clear()


async def test_an_event_covers_a_narrow_page(browser: Browser, running: Running) -> None:
    """At 400 pixels the details cover the page until they are closed."""
    async with observed_page(browser, running.url, width=400) as console:
        page = console.page
        line = page.locator(ROWS).first
        await line.click()
        panel = page.locator("#detail")
        await expect(panel.locator(".timeline li").first).to_be_visible()
        box = await panel.bounding_box()
        assert box == {"x": 0, "y": 0, "width": 400, "height": 900}
        assert await page.locator(".lists").evaluate("lists => lists.inert")
        await panel.get_by_role("button", name="Close").click()
        await expect(panel).to_be_hidden()
        await expect(page.get_by_role("grid", name="Events")).to_be_focused()


async def test_injected_failures_stay_visible(browser: Browser, running: Running) -> None:
    """With the page scrolled down and an event open, the top still shows them."""
    running.actions.injector.inject(Injection(FaultKind.THROTTLE, 0.5))
    async with observed_page(browser, running.url) as console:
        page = console.page
        await page.locator(ROWS).first.click()
        top = page.get_by_role("region", name="Injected failures")
        await page.locator(".keys").scroll_into_view_if_needed()
        await expect(top).to_be_in_viewport(ratio=1)
        shut = page.locator("#detail").get_by_role("button", name="Close")
        await shut.click()
    running.actions.injector.clear()
