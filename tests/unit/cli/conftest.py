"""A desk for each test: a Pub/Sub server with letters on it, and the command as people run it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from local.pipeline import DEAD, EVENTS, administer
from local.pubsub import PubSubServer
from tests.conftest import PubSub
from tests.unit.cli.desk import Desk


@asynccontextmanager
async def _desk(host: str, project: str) -> AsyncIterator[Desk]:
    async with administer(host) as admin:
        await admin.create_topics(project)
        kept = await admin.create_pull_subscription("dead-kept", DEAD, project)
        seen = await admin.create_pull_subscription("events-seen", EVENTS, project)
        yield Desk(host, project, admin, kept=kept, seen=seen)


@pytest.fixture
async def desk(pubsub: PubSub, project: str) -> AsyncIterator[Desk]:
    """On our server, and on Google's."""
    async with _desk(pubsub.host, project) as made:
        yield made


@pytest.fixture
async def quick() -> AsyncIterator[PubSubServer]:
    """Our server, with leases that are over soon: what a killed run held comes back."""
    async with PubSubServer(ack_deadline=2) as server:
        yield server


@pytest.fixture
async def quick_desk(quick: PubSubServer, project: str) -> AsyncIterator[Desk]:
    """On that server, to look into it and to break it."""
    async with _desk(quick.host, project) as made:
        yield made
