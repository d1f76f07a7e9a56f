"""The list of events: what a row says, the order, filter and search, and the keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from local.console.run import Running
from tests.console.desk import ROWS, body_of, row, send

pytestmark = pytest.mark.slow


async def test_a_row_says_what_became_of_the_event(page: Page) -> None:
    """Type, visitor, status, tries, how long it took, and when it came."""
    await send(page, body=body_of("poll_submitted_single", visitorId="row@example.com"))
    line = row(page, "row@example.com")
    await expect(line).to_contain_text("accepted")
    await expect(line.locator(".type")).to_have_text("poll.submitted")
    await expect(line.locator(".tries")).to_have_text("1")
    await expect(line.locator(".took")).to_have_text(re.compile(r"^[\d.,]+ m?s$"))
    await expect(line.locator(".time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


async def test_a_rejected_webhook_is_listed_too(page: Page) -> None:
    """What `receive` refused is there, as what it is."""
    body = body_of("guide_displayed", visitorId="refused@example.com")
    await send(page, body=body, signature="wrong")
    await expect(row(page, "refused@example.com").locator(".status")).to_contain_text("rejected")


async def test_the_newest_is_first(page: Page) -> None:
    """Each event that comes is above those that came before."""
    for name in ("first", "second", "third"):
        await send(page, body=body_of("guide_displayed", visitorId=f"{name}@order"))
    await page.get_by_label("Search events").fill("@order")
    visitors = page.locator(f"{ROWS} .who")
    await expect(visitors).to_have_text(["third@order", "second@order", "first@order"])


async def test_filters_and_search_narrow_the_list(page: Page) -> None:
    """Status, type and words each leave only what fits; together, what fits all; then all again."""
    body = body_of("nps_submitted_zero", visitorId="needle@find")
    await send(page, body=body)
    await send(page, body=body, signature="wrong")
    await send(page, body=body_of("guide_displayed", visitorId="hay@find"))
    await expect(row(page, "accepted")).not_to_have_count(0)

    await page.get_by_label("Search events").fill("FIND needle")
    await expect(page.locator(ROWS)).to_have_count(2)
    await expect(page.locator("#shown")).to_have_text(re.compile(r"^2 of \d+ events$"))
    await page.get_by_label("Status").select_option("rejected")
    await expect(page.locator(ROWS)).to_have_count(1)
    await page.get_by_label("Type").select_option("guide.displayed")
    await expect(page.locator(ROWS)).to_have_count(0)
    await expect(page.get_by_text("No event is like that")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(row(page, "hay@find")).to_have_count(1)
    await expect(row(page, "needle@find")).to_have_count(2)


async def test_the_keyboard_does_all_of_it(page: Page) -> None:
    """A slash searches, arrows move, Enter opens, arrows then read on, Escape closes."""
    for name in ("low", "middle", "top"):
        await send(page, body=body_of("guide_displayed", visitorId=f"{name}@keys"))
    await page.locator("body").press("Tab")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search events")).to_be_focused()
    await page.keyboard.type("@keys")
    await expect(page.locator(ROWS)).to_have_count(3)

    grid = page.get_by_role("grid", name="Events")
    await grid.focus()
    await grid.press("ArrowDown")
    await grid.press("Enter")
    opened = page.get_by_role("region", name="guide.displayed")
    await expect(opened).to_be_focused()
    await expect(opened).to_contain_text("middle@keys")
    await grid.press("ArrowDown")
    await expect(opened).to_contain_text("low@keys")
    await expect(grid).to_be_focused()
    await grid.press("Home")
    await expect(opened).to_contain_text("top@keys")
    await page.keyboard.press("Escape")
    await expect(opened).to_be_hidden()
    await expect(grid).to_be_focused()


async def test_what_is_read_stays_where_it_is(page: Page, running: Running) -> None:
    """Events that come meanwhile do not move the list under the reader's eyes, and are told of."""
    for number in range(60):
        record = running.state.arrive(f"still-{number}", running.state.now())
        record.type = "guide.displayed"
    await page.get_by_label("Search events").fill("still-")
    grid = page.get_by_role("grid", name="Events")
    await expect(page.locator(f"{ROWS}[data-key=still-59]")).to_be_visible()
    await grid.evaluate("grid => { grid.scrollTop = 800; }")
    watched = page.locator(f"{ROWS}[data-key=still-35]")
    await expect(watched).to_be_visible()
    before = await watched.bounding_box()
    for number in range(60, 70):
        running.state.arrive(f"still-{number}", running.state.now())

    await expect(page.get_by_role("button", name="10 newer ones")).to_be_visible()
    assert await watched.bounding_box() == before
    await page.get_by_role("button", name="10 newer ones").click()
    await expect(page.locator(f"{ROWS}[data-key=still-69]")).to_be_visible()
