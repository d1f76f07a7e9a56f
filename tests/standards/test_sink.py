"""The case of Adobe's own Kafka sink (`adobe/experience-platform-streaming-connect`).

The test data of its integration tests have two XDM messages for one batch, the first without its
`header`, and the multi-status answer to them: `data/sink_answer.json`. Here two events go through
`deliver` at once, and are answered so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from local.functions import Function
from local.pipeline import DEAD, XDM_SETTINGS
from local.pubsub import PubSubServer
from tests.delivery_harness import event
from tests.hostile.mouths import push_of
from tests.webhooks import send

ANSWER = json.loads(Path(__file__).with_name("data").joinpath("sink_answer.json").read_text())
DEAD_TOPIC = f"projects/local/topics/{DEAD}"
IDS = ["sink-one", "sink-two"]


@pytest.fixture
async def sink() -> AsyncIterator[tuple[str, list[Any]]]:
    """An inlet that gives Adobe's answer to every batch, and keeps the batches."""
    batches: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        batches.append((await request.json())["messages"])
        return web.json_response(ANSWER, status=207)

    app = web.Application()
    app.router.add_post("/collection/batch/inlet", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/collection/inlet", batches
    await runner.cleanup()


async def test_exactly_the_first_is_a_dead_letter(
    server: PubSubServer, http: aiohttp.ClientSession, sink: tuple[str, list[Any]]
) -> None:
    """Of two messages in a batch the one that Adobe's answer refuses is buried, and only it."""
    endpoint, batches = sink
    server.create_topic(DEAD_TOPIC)
    settings = {
        **XDM_SETTINGS,
        "PUBSUB_EMULATOR_HOST": server.host,
        "AEP_ENDPOINT": endpoint,
        "BATCH_MAX_MESSAGES": "2",  # both go as soon as both are there
        "BATCH_LINGER_MS": "10000",
    }
    async with Function("deliver", settings) as deliver:
        pushed = [push_of(event(name), eventId=name) for name in IDS]
        answers = await asyncio.gather(*(send(http, deliver.url, body) for body in pushed))

    assert [answer.status for answer in answers] == [204, 204]
    (batch,) = batches
    first, second = (message["body"]["xdmEntity"]["_id"] for message in batch)
    assert {first, second} == set(IDS)
    (letter,) = server.published(DEAD_TOPIC)
    assert letter.data == event(first)
    assert letter.attributes["eventId"] == first
    assert letter.attributes["reason"] == "rejected"
    assert "header" in letter.attributes["detail"]
