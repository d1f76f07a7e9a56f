"""The functions that hostile input is sent to: started once, and the same process to the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psutil
import pytest

from local.aep import AepServer
from local.functions import Function
from local.pipeline import SECRET
from local.pubsub import PubSubServer
from tests.hostile.mouths import DEAD_TOPIC, TOPIC, Mouth


def memory_bytes(function: Function) -> int:
    """What the function's processes hold; psutil finds them by their port."""
    mine = [p for p in psutil.process_iter(["cmdline"]) if is_of(p.info["cmdline"], function)]
    return sum(process.memory_info().rss for process in mine)


def is_of(command: list[str] | None, function: Function) -> bool:
    """Is this the command line of the function?"""
    return f"--port={function.port}" in (command or [])


@pytest.fixture(scope="module")
def topics(server: PubSubServer) -> None:
    """The two topics of a deployment."""
    server.create_topic(TOPIC)
    server.create_topic(DEAD_TOPIC)


@pytest.fixture(scope="module")
async def receive(server: PubSubServer, topics: None) -> AsyncIterator[Function]:  # noqa: ARG001
    """The function with one secret."""
    settings = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_WEBHOOK_SECRETS": SECRET}
    async with Function("receive", settings) as function:
        yield function


@pytest.fixture(scope="module")
async def inlet() -> AsyncIterator[AepServer]:
    """A stand-in for the module: `deliver` is started once, against its address."""
    async with AepServer() as running:
        yield running


@pytest.fixture(scope="module")
async def deliver(
    server: PubSubServer,
    topics: None,  # noqa: ARG001 (made before)
    inlet: AepServer,
) -> AsyncIterator[Function]:
    """The function on an open inlet, raw, trimming what is large."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "AEP_ENDPOINT": inlet.endpoint,
        "AEP_FLOW_ID": "flow-1",
        "AEP_TRIM_PROPERTIES": "true",
        "DELIVER_DEADLINE_SECONDS": "20",
    }
    async with Function("deliver", settings) as function:
        yield function


@pytest.fixture(scope="module", params=["receive", "deliver"])
async def mouth(
    request: pytest.FixtureRequest,
    receive: Function,
    deliver: Function,
    server: PubSubServer,
    inlet: AepServer,
) -> Mouth:
    """Each test that asks for it runs twice: on `receive`, and on `deliver`."""
    if request.param == "receive":
        return Mouth(receive, 200, server, inlet)
    return Mouth(deliver, 204, server, inlet)
