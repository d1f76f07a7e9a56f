"""Hostile bodies with a right signature, sent to `receive`: stored, or set aside to the byte."""

from __future__ import annotations

import asyncio

import aiohttp
import orjson
import pytest

from local.functions import Function
from local.pubsub import PubSubServer
from tests.cases import Case
from tests.hostile.conftest import memory_bytes
from tests.hostile.mouths import DEAD_TOPIC, TOPIC
from tests.hostile.tables import cases, written_out
from tests.webhooks import send_signed, webhook

# What a function of 512 MB can spare, with eight bodies of 1 MB at a time.
SPARE_BYTES = 150_000_000


@pytest.mark.parametrize("case", cases("bodies"))
async def test_nothing_acknowledged_is_lost(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, case: Case
) -> None:
    """What is answered 200 lies on the topic as JSON; what is answered 202, to the byte, aside."""
    body = written_out(case["body"], latin1=case.get("latin1", False))
    events, letters = len(server.published(TOPIC)), len(server.published(DEAD_TOPIC))

    answer = await send_signed(http, receive.url, body)

    allowed = case["status"] if isinstance(case["status"], list) else [case["status"]]
    assert answer.status in allowed, answer.body
    if answer.status == 200:
        (message,) = server.published(TOPIC)[events:]
        event = orjson.loads(message.data)
        assert answer.json() == {"status": "accepted", "id": event["id"]}
        assert message.attributes["eventId"] == event["id"]
    else:
        (letter,) = server.published(DEAD_TOPIC)[letters:]
        assert letter.data == body
        assert answer.json() == {"status": "quarantined", "reason": letter.attributes["reason"]}


async def test_memory_has_a_bound(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """However often the worst of them come, eight at a time, memory does not grow with them."""
    worst = [written_out(case.values[0]["body"]) for case in cases("bodies")]  # type: ignore[index]
    large = [body for body in worst if len(body) > 100_000]

    async def round_of_all() -> None:
        for start in range(0, len(large), 8):
            answers = await asyncio.gather(
                *(send_signed(http, receive.url, body) for body in large[start : start + 8])
            )
            assert {answer.status for answer in answers} <= {200, 202}

    await round_of_all()
    before = memory_bytes(receive)
    for _ in range(5):
        await round_of_all()

    assert before > 0
    assert memory_bytes(receive) - before < SPARE_BYTES
    assert (await send_signed(http, receive.url, webhook(1))).status == 200
    assert server.published(TOPIC)
