"""A platform of each test's own, empty or with a Pendo source."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.aep import AepServer
from local.aep_platform import PlatformServer
from tests.local.aep_platform.client import PENDO_SOURCE, PlatformClient, connect
from tests.local.aep_platform.late import LatePlatform, late_platform


@pytest.fixture
async def empty(aep: AepServer, http: aiohttp.ClientSession) -> AsyncIterator[PlatformClient]:
    """A client of an empty platform with two sandboxes."""
    async with PlatformServer(aep, sandbox_names=("prod", "dev")) as platform:
        yield await connect(platform, aep, http)


@pytest.fixture
async def pendo(empty: PlatformClient) -> PlatformClient:
    """The same client, with a complete Pendo source."""
    await empty.make(*PENDO_SOURCE)
    return empty


@pytest.fixture
async def late(aep: AepServer, http: aiohttp.ClientSession) -> AsyncIterator[LatePlatform]:
    """A platform that ingests five minutes later, by the clock of the test."""
    async with late_platform(aep, http) as running:
        yield running
