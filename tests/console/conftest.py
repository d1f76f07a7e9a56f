"""Fixtures: the browser, the running pipeline, and a page of its console."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from local.console.run import Running, run_with_console
from tests.console.page_harness import (
    TIMEOUT_MS,
    ObservedPage,
    find_chromium,
    observed_page,
    run_browser,
)

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
async def running() -> AsyncIterator[Running]:
    """The pipeline with its console, one for each module."""
    async with run_with_console() as parts:
        yield parts


@pytest.fixture(scope="module")
async def console_page(browser: Browser, running: Running) -> AsyncIterator[ObservedPage]:
    """The console in a browser, one for each module, because a new one is a process."""
    async with observed_page(browser, running.url) as found:
        yield found


@pytest.fixture
async def console(console_page: ObservedPage, running: Running) -> AsyncIterator[ObservedPage]:
    """The console, reloaded; errors on it fail the test."""
    await console_page.open()
    yield console_page
    running.actions.injector.clear()
    assert console_page.is_clean()


@pytest.fixture
def page(console: ObservedPage) -> Page:
    """The page of the console."""
    return console.page
