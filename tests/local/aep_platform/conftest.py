"""A platform of each test's own, empty or with a Pendo source."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy

import aiohttp
import pytest

from local.aep import AepServer
from local.aep_platform import PlatformServer, PlatformState
from tests.local.aep_platform.client import PENDO_SOURCE, PlatformClient, connect
from tests.local.aep_platform.late import LatePlatform, late_platform

_PENDO: list[tuple[PlatformState, dict[str, str], dict[str, str]]] = []


@pytest.fixture
async def empty(aep: AepServer, http: aiohttp.ClientSession) -> AsyncIterator[PlatformClient]:
    """A client of an empty platform with two sandboxes."""
    async with PlatformServer(aep, sandbox_names=("prod", "dev")) as platform:
        yield await connect(platform, aep, http)


@pytest.fixture
async def pendo(empty: PlatformClient) -> PlatformClient:
    """The same client, with a complete Pendo source, which is made once and then copied."""
    if _PENDO:
        state, ids, etags = _PENDO[0]
        empty.platform.restore(state)
        empty.ids.update(ids)
        empty.etags.update(etags)
    else:
        await empty.make(*PENDO_SOURCE)
        _PENDO.append((deepcopy(empty.platform.state), {**empty.ids}, {**empty.etags}))
    return empty


@pytest.fixture
async def late(aep: AepServer, http: aiohttp.ClientSession) -> AsyncIterator[LatePlatform]:
    """A platform that ingests five minutes later, by the clock of the test."""
    async with late_platform(aep, http) as running:
        yield running
