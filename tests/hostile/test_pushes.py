"""Hostile push envelopes and what is in them: delivered, buried, or said to be no push."""

from __future__ import annotations

import asyncio
import base64

import aiohttp
import pytest

from local.aep import AepServer
from local.functions import Function
from local.pubsub import PubSubServer
from tests.cases import Case
from tests.delivery_harness import event
from tests.hostile.conftest import memory_bytes
from tests.hostile.mouths import DEAD_TOPIC, Mouth, push_of
from tests.hostile.tables import cases, written_out
from tests.webhooks import send

# What a function of 512 MB can spare, with eight messages of 1 MB at a time.
SPARE_BYTES = 150_000_000


@pytest.mark.parametrize("case", cases("pushes"))
async def test_an_envelope(
    deliver: Function,
    inlet: AepServer,
    server: PubSubServer,
    http: aiohttp.ClientSession,
    case: Case,
) -> None:
    """What is acknowledged has come to its end; anything else is said to be no push."""
    mouth = Mouth(deliver, 204, server, inlet)
    right = base64.b64encode(event("envelope"))
    before = mouth.arrived
    body = written_out(case["body"]).replace(b"{right}", right)
    assert (await send(http, deliver.url, body)).status == case["status"]
    assert mouth.arrived - before == (case["status"] == 204)


@pytest.mark.parametrize("case", cases("bodies"))
async def test_data_that_receive_did_not_write(
    deliver: Function, server: PubSubServer, http: aiohttp.ClientSession, case: Case
) -> None:
    """Whatever somebody else published is buried to the byte, for it is no normalised event."""
    data = written_out(case["body"], latin1=case.get("latin1", False)) or b"x"
    before = len(server.published(DEAD_TOPIC))
    assert (await send(http, deliver.url, push_of(data))).status == 204
    (letter,) = server.published(DEAD_TOPIC)[before:]
    assert letter.data == data
    assert letter.attributes["reason"] == "foreign"


async def test_memory_has_a_bound(deliver: Function, http: aiohttp.ClientSession) -> None:
    """However often the largest of them come, eight at a time, memory does not grow with them."""
    datas = [written_out(case.values[0]["body"]) for case in cases("bodies")]  # type: ignore[index]
    large = [push_of(data) for data in datas if len(data) > 100_000]

    async def round_of_all() -> None:
        for start in range(0, len(large), 8):
            answers = await asyncio.gather(
                *(send(http, deliver.url, body) for body in large[start : start + 8])
            )
            assert {answer.status for answer in answers} == {204}

    await round_of_all()
    before = memory_bytes(deliver)
    for _ in range(5):
        await round_of_all()

    assert before > 0
    assert memory_bytes(deliver) - before < SPARE_BYTES
