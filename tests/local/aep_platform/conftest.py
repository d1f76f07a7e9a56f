"""A platform of each test's own, empty or with a Pendo source."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.aep import AepServer
from local.aep_platform import PlatformServer
from tests.local.aep_platform.client import PlatformClient, connect
from tests.local.aep_platform.world import PENDO, World


@pytest.fixture
async def platform(aep: AepServer) -> AsyncIterator[PlatformServer]:
    """An empty platform with two sandboxes."""
    async with PlatformServer(aep, sandbox_names=("prod", "dev")) as running:
        yield running


@pytest.fixture
async def client(
    platform: PlatformServer, aep: AepServer, http: aiohttp.ClientSession
) -> PlatformClient:
    """A client with the right credential."""
    return await connect(platform, aep, http)


@pytest.fixture
def empty(client: PlatformClient) -> World:
    """Nothing made yet."""
    return World(client)


@pytest.fixture
async def pendo(empty: World) -> World:
    """A complete Pendo source."""
    await empty.make(*PENDO)
    return empty
