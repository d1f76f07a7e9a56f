"""What the tests do at the console, as people do it: send, look for a number, open an event."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import Locator, Page, expect

from local.console.run import Running
from local.samples import load_samples

ROWS = "#event-list .body [role=row]"


def body_of(sample: str, **changes: Any) -> str:
    """The webhook of a sample, changed."""
    [text] = [each.body for each in load_samples() if each.name == sample]
    return json.dumps(json.loads(text) | changes)


async def write(page: Page, body: str) -> None:
    """Puts a body of one's own into the form."""
    if not await page.locator("#edit").evaluate("details => details.open"):
        await page.get_by_text("Edit it first").click()
    await page.get_by_label("Body of the webhook").fill(body)


async def send(page: Page, *, sample: str = "", body: str = "", signature: str = "right") -> None:
    """Sends one, and waits for the answer."""
    if sample:
        await page.get_by_label("Sample").select_option(sample)
    if body:
        await write(page, body)
    await page.get_by_label("Signature").select_option(signature)
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#sent")).to_contain_text("receive answered")


async def burst(page: Page, number: int) -> None:
    """Begins to send so many."""
    await page.get_by_label("How many").fill(str(number))
    await page.get_by_role("button", name="Send", exact=True).click()


def row(page: Page, text: str) -> Locator:
    """The events in whose row there is this text."""
    return page.locator(ROWS).filter(has_text=text)


def count(page: Page, name: str) -> Locator:
    """The number on a stage of the way."""
    return page.locator(f"[data-count={name}]")


async def shows(page: Page, name: str, value: int) -> None:
    """Waits until a stage has this number."""
    await expect(count(page, name)).to_have_text(f"{value:,}")


async def agrees(page: Page, running: Running) -> None:
    """Waits until every number on the page is that of the console's state."""
    counts = running.state.counts
    for name in counts.__slots__:
        if await count(page, name).count():
            await shows(page, name, getattr(counts, name))
