"""The whole thing, running: pipeline and console."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.console.run import Running, run_with_console


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    """One for each module: both functions are processes, and take their time to start."""
    async with run_with_console() as parts:
        yield parts
