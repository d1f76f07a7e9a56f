"""The functions that hostile input is sent to: started once for each module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.aep import AepServer
from local.functions import Function
from local.pubsub import PubSubServer
from tests.delivery_harness import consumer_env
from tests.hostile.hostile_clients import Target


@pytest.fixture(scope="module")
async def inlet() -> AsyncIterator[AepServer]:
    """The AEP stand-in of the module's `deliver`."""
    async with AepServer() as running:
        yield running


@pytest.fixture(scope="module")
async def deliver(
    server: PubSubServer,
    topics: None,  # noqa: ARG001 (created first)
    inlet: AepServer,
) -> AsyncIterator[Function]:
    """The function on an open inlet, raw, trimming large events."""
    more = {"AEP_TRIM_PROPERTIES": "true", "DELIVER_DEADLINE_SECONDS": "20"}
    async with Function("deliver", consumer_env(server, inlet, **more)) as function:
        yield function


@pytest.fixture(scope="module")
def webhook_target(receive: Function, server: PubSubServer, inlet: AepServer) -> Target:
    """`receive` as a target."""
    return Target(receive, 200, server, inlet)


@pytest.fixture(scope="module")
def push_target(deliver: Function, server: PubSubServer, inlet: AepServer) -> Target:
    """`deliver` as a target."""
    return Target(deliver, 204, server, inlet)


@pytest.fixture(scope="module", params=["webhook_target", "push_target"])
def target(request: pytest.FixtureRequest) -> Target:
    """Both functions: each test that uses it runs twice."""
    found: Target = request.getfixturevalue(request.param)
    return found
