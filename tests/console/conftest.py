"""What the tests of the page share: the browser, the running pipeline, and a page of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from local.console.run import Running, run_with_console
from tests.console.page_harness import (
    PATIENCE_MS,
    ObservedPage,
    find_chromium,
    observed_page,
    run_browser,
)

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium. Without it the tests are skipped; in CI they fail, for nobody would notice."""
    path = find_chromium()
    if path is None:
        why = "Chromium is not installed: the console's page is tested with it"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    async with run_browser(path) as running:
        yield running


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    """The pipeline with its console, of this module's own."""
    async with run_with_console() as parts:
        yield parts


@pytest.fixture(scope="module")
async def opened(browser: Browser, running: Running) -> AsyncIterator[ObservedPage]:
    """The console in a browser: one for all tests of a module, for a new one is a process."""
    async with observed_page(browser, running.url) as found:
        yield found


@pytest.fixture
async def seen(opened: ObservedPage, running: Running) -> AsyncIterator[ObservedPage]:
    """The console, loaded anew; what goes wrong on it fails the test."""
    await opened.open()
    yield opened
    running.actions.injector.clear()
    assert opened.is_clean()


@pytest.fixture
def page(seen: ObservedPage) -> Page:
    """Its page."""
    return seen.page
