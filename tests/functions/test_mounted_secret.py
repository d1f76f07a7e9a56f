"""A mounted secret whose reads are slow, or hang: who waits for them, and how often they happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from local.aep import AepServer
from local.functions import Function
from local.pipeline import DEAD, EVENTS, SECRET, deliver_env
from local.pubsub import PubSubServer
from local.samples import sign
from tests.functions.test_deliver import event, push
from tests.secret_volume import SecretVolume
from tests.webhooks import Answer, send, send_signed, unique_id, webhook

STRANGERS = 20
ATTACK_SECONDS = 2.5
READ_SECONDS = 0.3


@pytest.fixture(scope="module", autouse=True)
def topics(server: PubSubServer) -> None:
    """The two topics of a deployment."""
    for topic in (EVENTS, DEAD):
        server.create_topic(f"projects/local/topics/{topic}")


@asynccontextmanager
async def receive(server: PubSubServer, volume: SecretVolume) -> AsyncIterator[Function]:
    """The function with its secret in a volume."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS_FILE": str(volume.path),
    }
    async with Function("receive", settings) as function:
        yield function


async def forge(http: aiohttp.ClientSession, function: Function) -> Answer:
    """A webhook signed with a secret that was never Pendo's."""
    return await send(http, function.url, webhook(1), **sign(webhook(1), "forged"))


async def test_forged_webhooks_keep_no_genuine_one_waiting(
    server: PubSubServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Twenty strangers who forge all the time share one read a second; nobody else waits."""
    with SecretVolume(tmp_path / "secret", SECRET, seconds=READ_SECONDS) as volume:
        async with receive(server, volume) as function:
            reads, began = volume.reads, time.monotonic()
            ends, waits = began + ATTACK_SECONDS, []

            async def stranger() -> None:
                while time.monotonic() < ends:
                    assert (await forge(http, function)).status == 401

            async with asyncio.TaskGroup() as group:
                for _ in range(STRANGERS):
                    group.create_task(stranger())
                while (asked := time.monotonic()) < ends:
                    assert (await send_signed(http, function.url, webhook(2))).status == 200
                    waits.append(time.monotonic() - asked)
            seconds = time.monotonic() - began

    assert 1 <= volume.reads - reads <= 1 + seconds
    assert max(waits) < STRANGERS * READ_SECONDS / 3


async def test_a_read_that_hangs_keeps_nobody(
    server: PubSubServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Genuine webhooks do not notice it, forged ones wait once; the new secret counts at last."""
    rotated = sign(webhook(3), "rotated")
    with SecretVolume(tmp_path / "secret", SECRET) as volume:
        async with receive(server, volume) as function:
            volume.text = "rotated"
            volume.hang()
            async with asyncio.timeout(20):
                while volume.reads == 1:  # until the first read is a second old
                    assert (await forge(http, function)).status == 401
            began = time.monotonic()
            assert (await send_signed(http, function.url, webhook(2))).status == 200
            for _ in range(STRANGERS):
                assert (await forge(http, function)).status == 401
            assert time.monotonic() - began < 5
            assert volume.reads == 2

            volume.resume()
            async with asyncio.timeout(10):
                while (await send(http, function.url, webhook(3), **rotated)).status == 401:
                    pass
            assert (await send_signed(http, function.url, webhook(4))).status == 401


async def test_a_token_is_fetched_with_the_rotated_secret(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """`deliver` reads its client secret before it asks for a token, and waits for that read."""
    with SecretVolume(tmp_path / "secret", "retired") as volume:
        credentials = {
            "AEP_CLIENT_ID": aep.client_id,
            "AEP_CLIENT_SECRET_FILE": str(volume.path),
            "AEP_IMS_URL": aep.url,
        }
        settings = deliver_env(server.host, aep, settings=credentials)
        async with Function("deliver", settings) as function:
            volume.text = aep.client_secret
            async with asyncio.timeout(20):
                while volume.reads == 1:  # until the first read is a second old
                    told = await send(http, function.url, push(event(1), eventId=unique_id(1)))
    assert told.status == 204
