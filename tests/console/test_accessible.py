"""Accessibility: axe-core finds nothing, in light and dark, wide and narrow."""

from __future__ import annotations

import orjson
import pytest
from axe_playwright_python.async_playwright import (  # type: ignore[import-untyped]  # has no types
    Axe,
)
from playwright.async_api import Browser, Page, expect

from local.console.fault_injection import FaultKind, Injection
from local.console.state import Status
from local.samples import load_samples
from tests.console.page_harness import ROWS, Scheme, arrive, observed_page, row
from tests.local.console.console_harness import ConsoleHarness

pytestmark = pytest.mark.slow


async def list_of_events(page: Page) -> None:
    """Shows events with every status."""
    await expect(page.locator(ROWS)).to_have_count(len(Status))


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


async def event_details(page: Page) -> None:
    """Shows one event with its JSON, and no failure."""
    await page.get_by_role("button", name="Clear all").click()
    # The page moves up when they vanish: a click meanwhile could miss its target.
    await page.get_by_role("region", name="Injected failures").wait_for(state="hidden")
    await page.get_by_role("tab", name="Events", exact=True).click()
    await page.get_by_label("Search events").fill("nps.submitted stored")
    await row(page, "nps.submitted").first.click()
    await page.get_by_role("tab", name="XDM").click()
    await page.get_by_role("region", name="The XDM in AEP").wait_for()


VIEWS = (list_of_events, batches, dead_letters, injected_failure, event_details)


@pytest.fixture(autouse=True)
def traffic(by_hand: ConsoleHarness) -> None:
    """Something of each kind has happened."""
    happen = by_hand.pipeline.happen
    happen("stored")
    happen("webhook", "e1", 200, {"status": "accepted", "id": "ID"})
    happen("pushed")
    happen("sent", "e1", "e2")
    happen("accepted")
    happen("refused", "e2", 400, "no")
    happen("ended", "e1", 207, 2)
    happen("nacked", "e1", "refused")
    happen("dead_lettered", "e1", "rejected", "deliver")
    happen("sent", "e1")
    happen("ended", "e1", 503)
    happen("ingested")
    [event] = [each.event for each in load_samples() if each.name == "nps_submitted_comment"]
    record = by_hand.pipeline.state.events.get("e1")
    assert record is not None
    record.status, record.data, record.sent = Status.STORED, orjson.dumps(event), event
    for status in Status:
        if status is not Status.STORED:
            arrive(by_hand, status, status=status, reason="a reason")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
async def test_axe_finds_nothing(
    browser: Browser, by_hand: ConsoleHarness, scheme: Scheme, width: int
) -> None:
    """No view breaks a rule, WCAG's or a best practice, or reaches beyond the right edge."""
    async with observed_page(browser, by_hand.url, width=width, scheme=scheme) as console:
        for view in VIEWS:
            await view(console.page)
            results = await Axe().run(console.page)
            assert results.violations_count == 0, f"{view.__name__}: {results.generate_report()}"
            wide = await console.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, view.__name__


async def test_an_event_covers_a_narrow_page(browser: Browser, by_hand: ConsoleHarness) -> None:
    """At 400 pixels the details cover the page until they are closed."""
    async with observed_page(browser, by_hand.url, width=400) as console:
        page = console.page
        await row(page, "nps.submitted").click()
        panel = page.locator("#detail")
        await expect(panel.locator(".timeline li").first).to_be_visible()
        box = await panel.bounding_box()
        assert box == {"x": 0, "y": 0, "width": 400, "height": 900}
        assert await page.locator(".lists").evaluate("lists => lists.inert")
        await panel.get_by_role("button", name="Close").click()
        await expect(panel).to_be_hidden()
        await expect(page.get_by_role("grid", name="Events")).to_be_focused()


async def test_injected_failures_stay_visible(page: Page, by_hand: ConsoleHarness) -> None:
    """With the page scrolled down and an event open, the top still shows them."""
    by_hand.actions.injector.inject(Injection(FaultKind.THROTTLE, 0.5))
    await row(page, "nps.submitted").click()
    top = page.get_by_role("region", name="Injected failures")
    await page.locator(".keys").scroll_into_view_if_needed()
    await expect(top).to_be_in_viewport(ratio=1)
    await page.locator("#detail").get_by_role("button", name="Close").click()
