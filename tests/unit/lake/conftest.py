"""Adobe's APIs as canned answers, the stand-in that does what AEP does, and topics."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.aep import AepServer
from local.aep_platform import PlatformServer, RecordFailed, RecordStored
from local.pubsub import PubSubServer
from local.simulated_time import ManualClock
from tests.unit.lake.adobe import Adobe
from tests.unit.lake.lake_harness import INGEST_AFTER, START, LakeHarness
from tests.unit.lake.topic_harness import TopicHarness, topic_harness
from tests.unit.provisioning.harness import Harness, own_fields


@pytest.fixture
async def adobe(aep: AepServer) -> AsyncIterator[Adobe]:
    """The APIs, which answer nothing yet."""
    async with Adobe(aep) as running:
        yield running


@pytest.fixture
async def lake(aep: AepServer) -> AsyncIterator[LakeHarness]:
    """On which a visitor's id must have small letters."""
    clock = ManualClock(START.timestamp())
    ends: list[RecordStored | RecordFailed] = []
    platform = PlatformServer(
        aep, clock=clock, ingest_after_seconds=INGEST_AFTER, observer=ends.append
    )
    async with platform:
        harness = LakeHarness(Harness(aep, platform), clock, ends)
        await harness.adobe.apply()
        own_fields(platform.state)["visitorId"]["pattern"] = "^[a-z-]+$"
        yield harness


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[PubSubServer]:
    """The in-process server, which says at once that there is nothing."""
    async with PubSubServer(pull_wait=0.05) as running:
        yield running


@pytest.fixture
async def here(server: PubSubServer, project: str) -> AsyncIterator[TopicHarness]:
    """A topic on the in-process server."""
    async with topic_harness(server.host, project) as harness:
        yield harness
    server.faults.clear()
