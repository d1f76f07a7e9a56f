"""The functions after their CPU was taken away, as Cloud Run does between requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from local.aep import AepServer
from local.functions import Function
from local.pipeline import EVENTS, SECRET
from local.pubsub import PubSubServer
from local.samples import sign
from tests.functions.test_deliver import event, push
from tests.hostile.wire import request, statuses, wire
from tests.webhooks import webhook

# Longer than the worker timeout that the functions get, and than gunicorn's keep-alive of 2 s.
_FROZEN_SECONDS = 3.0
_TIMEOUT_SECONDS = 1
_CONNECTIONS = 8
_TOPIC = f"projects/local/topics/{EVENTS}"


@dataclass(frozen=True, slots=True)
class Target:
    """A function, a request to it by its number, and the status of a right answer."""

    function: Function
    request: Callable[[int], bytes]
    status: int


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server with an empty subscription."""
    async with PubSubServer(pull_wait=0.1) as running:
        running.create_topic(_TOPIC)
        running.create_subscription("projects/local/subscriptions/drained", _TOPIC)
        yield running


@pytest.fixture(params=["receive", "deliver", "drain"])
async def target(
    request: pytest.FixtureRequest, server: PubSubServer, aep: AepServer
) -> AsyncIterator[Target]:
    """Each function, with a worker timeout that a freeze exceeds."""
    settings = {
        "CLOUD_RUN_TIMEOUT_SECONDS": str(_TIMEOUT_SECONDS),
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS": SECRET,
        "AEP_ENDPOINT": aep.endpoint,
        "AEP_FLOW_ID": "flow-1",
        "DRAIN_SUBSCRIPTION": "drained",
    }
    make_request, status = _REQUESTS[request.param]
    async with Function(request.param, settings) as function:
        yield Target(function, make_request, status)


async def test_requests_that_end_a_freeze_are_answered(target: Target) -> None:
    """No worker is killed for its old heartbeat, and no idle connection is closed."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(wire(target.function)) for _ in range(_CONNECTIONS)
        ]
        for number, connection in enumerate(connections):
            await connection.send(target.request(number))
            assert statuses(await connection.answer()) == [target.status]

        target.function.freeze()
        await asyncio.sleep(_FROZEN_SECONDS)  # the freeze itself
        for number, connection in enumerate(connections, start=_CONNECTIONS):
            await connection.send(target.request(number))
        target.function.thaw()

        for connection in connections:
            assert statuses(await connection.answer()) == [target.status]
    assert "WORKER TIMEOUT" not in target.function.text


def _signed_webhook(number: int) -> bytes:
    body = webhook(number)
    return request(body, "".join(f"{n}: {value}\r\n" for n, value in sign(body, SECRET).items()))


def _pushed_event(number: int) -> bytes:
    return request(push(event(number)), "")


def _call(_: int) -> bytes:
    return request(b"", "")


_REQUESTS = {
    "receive": (_signed_webhook, 200),
    "deliver": (_pushed_event, 204),
    "drain": (_call, 200),
}
