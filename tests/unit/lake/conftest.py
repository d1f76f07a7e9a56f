"""Adobe's APIs as canned answers, and the stand-in that does what AEP does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.aep import AepServer
from tests.unit.lake.adobe import Adobe
from tests.unit.lake.lake_harness import LakeHarness, lake_harness
from tests.unit.provisioning.harness import own_fields


@pytest.fixture
async def adobe(aep: AepServer) -> AsyncIterator[Adobe]:
    """The APIs, which answer nothing yet."""
    async with Adobe(aep) as running:
        yield running


@pytest.fixture
async def lake() -> AsyncIterator[LakeHarness]:
    """On which a visitor's id must have small letters."""
    async with lake_harness() as harness:
        own_fields(harness.adobe.state)["visitorId"]["pattern"] = "^[a-z-]+$"
        yield harness
