"""A headless Chromium, and pages that take note of what must not happen on them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
# A busy machine is no failure.
PATIENCE_MS: Final = 30_000
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


def chromium() -> str | None:
    """Where it is, if it is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def browsing(path: str) -> AsyncIterator[Browser]:
    """Runs the browser at that path."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class Watched:
    """A page, and what was wrong on it.

    Attributes:
        errors: what it wrote to the browser's console as an error or a warning, and what it threw.
        strangers: hosts other than the console that it asked for something.
    """

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    async def open(self) -> None:
        """Loads the console, and waits until it is live."""
        await self.page.goto(self.url)
        await self.page.locator("#connection[data-state=live]").wait_for()

    def forgive(self, text: str) -> None:
        """Forgets errors with this text in them: the test has brought them about."""
        assert any(text in error for error in self.errors), f"no error with {text!r}"
        self.errors = [error for error in self.errors if text not in error]

    def is_clean(self) -> bool:
        """Whether nothing was wrong; fails with what was."""
        assert self.errors == []
        assert self.strangers == []
        return True


@asynccontextmanager
async def watched(
    browser: Browser,
    url: str,
    *,
    width: int = 1280,
    height: int = 900,
    scheme: Scheme = "light",
    scale: float = 1,
) -> AsyncIterator[Watched]:
    """Opens the console in a browser context of its own, and waits until it is live.

    Afterwards nothing may have been wrong on it.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=scale,
        reduced_motion="reduce",
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    found = Watched(page, url)
    home = urlsplit(url).netloc

    def written(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            found.errors.append(message.text)

    def asked(request: Request) -> None:
        if urlsplit(request.url).netloc != home:
            found.strangers.append(request.url)

    page.on("console", written)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", asked)
    try:
        await found.open()
        yield found
        assert found.is_clean()
    finally:
        await context.close()
