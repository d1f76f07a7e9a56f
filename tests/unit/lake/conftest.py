"""Adobe's APIs as canned answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.aep import AepServer
from tests.unit.lake.adobe import Adobe


@pytest.fixture
async def adobe(aep: AepServer) -> AsyncIterator[Adobe]:
    """The APIs, which answer nothing yet."""
    async with Adobe(aep) as running:
        yield running
