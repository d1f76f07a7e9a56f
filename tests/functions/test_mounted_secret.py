"""A mounted secret whose reads are slow or hang: who waits for them, and how often they happen."""

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
from local.pipeline import SECRET
from local.pubsub import PubSubServer
from tests.delivery_harness import consumer_env
from tests.secret_volume import SecretVolume
from tests.webhooks import Answer, event, push_body, send, send_signed, unique_id, webhook

pytestmark = pytest.mark.slow
FORGERS = 20
ATTACK_SECONDS = 1.5
READ_SECONDS = 0.3


@asynccontextmanager
async def receive(server: PubSubServer, volume: SecretVolume) -> AsyncIterator[Function]:
    """Runs the function with its secret in a volume."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS_FILE": str(volume.path),
    }
    async with Function("receive", settings) as function:
        yield function


async def forge(http: aiohttp.ClientSession, function: Function) -> Answer:
    """Sends a webhook with a wrong signature."""
    return await send_signed(http, function.url, webhook(1), secret="forged")


async def test_forged_webhooks_do_not_delay_genuine_ones(
    server: PubSubServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Twenty clients that send forged webhooks share one read a second; no other client waits."""
    with SecretVolume(tmp_path / "secret", SECRET, seconds=READ_SECONDS) as volume:
        async with receive(server, volume) as function:
            reads, began = volume.reads, time.monotonic()
            ends, waits = began + ATTACK_SECONDS, []

            async def forger() -> None:
                while time.monotonic() < ends:
                    assert (await forge(http, function)).status == 401

            async with asyncio.TaskGroup() as group:
                for _ in range(FORGERS):
                    group.create_task(forger())
                while (asked := time.monotonic()) < ends:
                    assert (await send_signed(http, function.url, webhook(2))).status == 200
                    waits.append(time.monotonic() - asked)
            seconds = time.monotonic() - began

    assert 1 <= volume.reads - reads <= 1 + seconds
    assert max(waits) < FORGERS * READ_SECONDS / 3


async def test_a_hanging_read_delays_nobody(
    server: PubSubServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Genuine webhooks do not wait, forged ones wait once; the new secret is used in the end."""
    with SecretVolume(tmp_path / "secret", SECRET) as volume:
        async with receive(server, volume) as function:
            volume.text = "rotated"
            volume.hang()
            async with asyncio.timeout(60):
                while volume.reads == 1:  # until the first read is a second old
                    assert (await forge(http, function)).status == 401
            began = time.monotonic()
            assert (await send_signed(http, function.url, webhook(2))).status == 200
            for _ in range(FORGERS):
                assert (await forge(http, function)).status == 401
            assert time.monotonic() - began < 5
            assert volume.reads == 2

            volume.resume()
            async with asyncio.timeout(60):
                while (
                    await send_signed(http, function.url, webhook(3), secret="rotated")
                ).status == 401:
                    pass
            assert (await send_signed(http, function.url, webhook(4))).status == 401


async def test_a_token_is_fetched_with_the_rotated_secret(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """`deliver` reads its client secret again before it requests a token."""
    with SecretVolume(tmp_path / "secret", "retired") as volume:
        credentials = {
            "AEP_CLIENT_ID": aep.client_id,
            "AEP_CLIENT_SECRET_FILE": str(volume.path),
            "AEP_IMS_URL": aep.url,
        }
        settings = consumer_env(server, aep, **credentials)
        async with Function("deliver", settings) as function:
            volume.text = aep.client_secret
            async with asyncio.timeout(60):
                while volume.reads == 1:  # until the first read is a second old
                    answer = await send(
                        http, function.url, push_body(event(unique_id(1)), eventId=unique_id(1))
                    )
    assert answer.status == 204
