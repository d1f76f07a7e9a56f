"""What the functions under test talk to, one of each for a module: Pub/Sub, and an AEP stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.aep import AepServer, Behaviour
from local.pubsub import PubSubServer
from tests.delivery_harness import pubsub_with_backlog, renew


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[PubSubServer]:
    """The in-process Pub/Sub server, with the topics and a subscription that can be drained."""
    async with pubsub_with_backlog() as running:
        yield running


@pytest.fixture(scope="module")
def topics(server: PubSubServer) -> None:
    """The two topics of a deployment, which this `server` has from the beginning."""


@pytest.fixture(scope="module")
async def aep() -> AsyncIterator[AepServer]:
    """The AEP stand-in."""
    async with AepServer() as running:
        yield running


@pytest.fixture
async def renewed(server: PubSubServer, aep: AepServer) -> None:
    """Starts a test with stand-ins that work and have received nothing."""
    aep.behaviour = Behaviour()
    await renew(server, aep)
