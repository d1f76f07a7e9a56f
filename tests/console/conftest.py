"""Fixtures: the browser, a console whose events a test makes by hand, and a page of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.page_harness import (
    TIMEOUT_MS,
    ObservedPage,
    find_chromium,
    observed_page,
    run_browser,
)
from tests.local.console.console_harness import ConsoleHarness, console_harness

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium. Without it the tests are skipped; in CI they fail, because nobody would notice."""
    path = find_chromium()
    if path is None:
        why = "Chromium is not installed: the console's page is tested with it"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    async with run_browser(path) as running:
        yield running


@pytest.fixture(scope="module")
async def browser_page(browser: Browser) -> AsyncIterator[ObservedPage]:
    """A page of the browser, one for each module, because a new one is a process."""
    async with observed_page(browser) as found:
        yield found


@pytest.fixture
async def by_hand() -> AsyncIterator[ConsoleHarness]:
    """An empty console without a pipeline."""
    async with console_harness() as parts:
        yield parts


@pytest.fixture
def url(by_hand: ConsoleHarness) -> str:
    """The console that the page shows."""
    return by_hand.url


@pytest.fixture
async def console(browser_page: ObservedPage, url: str) -> AsyncIterator[ObservedPage]:
    """The console in the browser; errors on it fail the test."""
    await browser_page.open(url)
    yield browser_page
    await browser_page.page.goto("about:blank")
    assert browser_page.is_clean()


@pytest.fixture
def page(console: ObservedPage) -> Page:
    """The page of the console."""
    return console.page
