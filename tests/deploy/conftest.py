"""Google's emulator, for what is deployed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.emulator import Emulator


@pytest.fixture(scope="module")
async def emulator(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where it listens; with it goes the real gcloud, which is skipped where it is."""
    if request.config.getoption("--emulator") == "off":
        pytest.skip("gcloud and Google's emulator: `make test-emulator` runs them")
    async with Emulator() as running:
        yield running.host
