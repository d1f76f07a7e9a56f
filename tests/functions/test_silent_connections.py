"""Connections that went silent: a NAT has dropped them, nobody says so, and new ones work.

The proxy drops what both sides send but still acknowledges it at the TCP level; a real NAT does not
even do that. So only the functions' own clocks can notice here, and they have to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.functions import Function
from local.pipeline import DEAD, EVENTS, receive_env
from local.pubsub import PubSubServer
from local.tcp_proxy import TcpProxy
from tests.webhooks import send_signed, webhook

EVENTS_TOPIC, DEAD_TOPIC = f"projects/local/topics/{EVENTS}", f"projects/local/topics/{DEAD}"


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server of this test's own, with both topics."""
    async with PubSubServer(pull_wait=0.2) as running:
        running.create_topic(EVENTS_TOPIC)
        running.create_topic(DEAD_TOPIC)
        yield running


@pytest.fixture
async def to_pubsub(server: PubSubServer) -> AsyncIterator[TcpProxy]:
    """The way to Pub/Sub."""
    async with TcpProxy(server.host) as proxy:
        yield proxy


@pytest.fixture
async def receive(to_pubsub: TcpProxy) -> AsyncIterator[Function]:
    """`receive`, with the proxy between it and Pub/Sub."""
    async with Function("receive", receive_env(to_pubsub.host)) as function:
        yield function


async def test_a_webhook_is_stored_over_a_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """The first webhook after the silence is stored within 3 s, all later ones at once."""
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    to_pubsub.silence()

    for number, seconds in ((1, 3.0), *((later, 1.0) for later in range(2, 12))):
        started = time.monotonic()
        assert (await send_signed(http, receive.url, webhook(number))).status == 200
        assert time.monotonic() - started < seconds, f"webhook {number}"
    assert to_pubsub.connections == 2
    assert len(server.published(EVENTS_TOPIC)) == 12


async def test_many_webhooks_that_wait_share_one_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Webhooks and dead letters that wait on the same silent connection need one new one."""
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    to_pubsub.silence()

    bodies = [webhook(number) for number in range(1, 50)] + [b"not JSON"] * 5
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(send_signed(http, receive.url, body) for body in bodies))
    assert {answer.status for answer in answers} == {200, 202}
    assert to_pubsub.connections == 2
    assert len(server.published(EVENTS_TOPIC)) == 50
    assert len(server.published(DEAD_TOPIC)) == 5


async def test_a_dead_letter_is_stored_over_a_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A webhook that goes to the dead-letter topic is answered within 3 s as well."""
    assert (await send_signed(http, receive.url, b"not JSON")).status == 202
    to_pubsub.silence()

    started = time.monotonic()
    assert (await send_signed(http, receive.url, b"not JSON either")).status == 202
    assert time.monotonic() - started < 3
    assert len(server.published(DEAD_TOPIC)) == 2


async def test_silence_again_and_again(
    receive: Function, to_pubsub: TcpProxy, http: aiohttp.ClientSession
) -> None:
    """A new connection that goes silent as well is replaced as well."""
    for number in range(3):
        assert (await send_signed(http, receive.url, webhook(2 * number))).status == 200
        to_pubsub.silence()
        started = time.monotonic()
        assert (await send_signed(http, receive.url, webhook(2 * number + 1))).status == 200
        assert time.monotonic() - started < 3


async def test_a_slow_pubsub_gets_no_storm_of_connections(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A Pub/Sub that takes 2.5 s is not silent: one new connection, and no webhook is refused."""
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    server.faults.delay("Publish", 2.5, times=None)

    for number in range(1, 4):
        assert (await send_signed(http, receive.url, webhook(number))).status == 200
    assert to_pubsub.connections == 2
    assert len(server.published(EVENTS_TOPIC)) <= 5  # one call was made twice


async def test_a_slow_handshake_is_waited_for(
    receive: Function, to_pubsub: TcpProxy, http: aiohttp.ClientSession
) -> None:
    """A new connection to Pub/Sub may take more than a second to be set up."""
    to_pubsub.connect_seconds = 1.5
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
