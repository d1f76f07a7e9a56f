"""A headless Chromium, pages that record errors, and what people do on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

from local.console.run import Running
from local.samples import load_samples
from tests.local.console.console_harness import ConsoleHarness

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
# A slow machine is not a failure.
TIMEOUT_MS: Final = 120_000
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Scheme = Literal["light", "dark"]


def find_chromium() -> str | None:
    """Returns the path of Chromium, if it is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def run_browser(path: str) -> AsyncIterator[Browser]:
    """Runs the browser at this path."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class ObservedPage:
    """A page and what went wrong on it.

    Attributes:
        errors: errors and warnings in the browser's console, and exceptions.
        foreign_requests: requests to other hosts than the console.
    """

    page: Page
    url: str = ""
    errors: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)

    async def open(self, url: str) -> None:
        """Loads a console, and waits until it is live."""
        self.url = url
        await self.page.goto(url)
        await self.page.locator("#connection[data-state=live]").wait_for()

    def forgive(self, text: str) -> None:
        """Ignores errors with this text, which the test has caused."""
        assert any(text in error for error in self.errors), f"no error with {text!r}"
        self.errors = [error for error in self.errors if text not in error]

    def is_clean(self) -> bool:
        """Checks that nothing went wrong."""
        assert self.errors == []
        assert self.foreign_requests == []
        return True


@asynccontextmanager
async def observed_page(
    browser: Browser,
    url: str = "",
    *,
    width: int = 1280,
    height: int = 900,
    scheme: Scheme = "light",
    scale: float = 1,
) -> AsyncIterator[ObservedPage]:
    """Opens a page in its own browser context, with the console at the URL, if one is given.

    At the end, nothing may have gone wrong on it.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=scale,
        reduced_motion="reduce",
        locale="en-GB",
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = await context.new_page()
    found = ObservedPage(page)

    def written(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            found.errors.append(message.text)

    def asked(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(found.url).netloc:
            found.foreign_requests.append(request.url)

    page.on("console", written)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", asked)
    try:
        if url:
            await found.open(url)
        yield found
        assert found.is_clean()
    finally:
        await context.close()


ROWS = "#event-list .body [role=row]"


def arrive(console: ConsoleHarness, key: str, **fields: object) -> None:
    """Adds an event to the list, with these fields of its record."""
    state = console.pipeline.state
    record = state.arrive(key, state.now())
    for name, value in ({"type": "guide.displayed"} | fields).items():
        setattr(record, name, value)


def body_of(sample: str, **changes: Any) -> str:
    """Returns a sample's webhook with changes."""
    [text] = [each.body for each in load_samples() if each.name == sample]
    return json.dumps(json.loads(text) | changes)


async def edit_body(page: Page, body: str) -> None:
    """Enters a body into the form."""
    if not await page.locator("#edit").evaluate("details => details.open"):
        await page.get_by_text("Edit before sending").click()
    await page.get_by_label("Body of the webhook").fill(body)


async def send(page: Page, *, sample: str = "", body: str = "", signature: str = "right") -> None:
    """Sends one webhook and waits for the answer."""
    if sample:
        await page.get_by_label("Sample").select_option(sample)
    if body:
        await edit_body(page, body)
    await page.get_by_label("Signature").select_option(signature)
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#sent")).to_contain_text("receive answered")


async def burst(page: Page, number: int) -> None:
    """Starts to send so many."""
    await page.get_by_label("Number of events").fill(str(number))
    await page.get_by_role("button", name="Send", exact=True).click()


def row(page: Page, text: str) -> Locator:
    """Returns the events with this text in their row."""
    return page.locator(ROWS).filter(has_text=text)


def count(page: Page, name: str) -> Locator:
    """Returns the number of a stage."""
    return page.locator(f"[data-count={name}]")


async def expect_count(page: Page, name: str, value: int) -> None:
    """Waits until a stage has this number."""
    await expect(count(page, name)).to_have_text(f"{value:,}")


async def expect_counts_of(page: Page, running: Running) -> None:
    """Waits until every number on the page equals that of the console's state."""
    counts = running.state.counts
    for name in counts.__slots__:
        if await count(page, name).count():
            await expect_count(page, name, getattr(counts, name))
