"""Connections that went silent: a NAT has dropped them, nobody says so, and new ones work.

The proxy drops what both sides send but still acknowledges it at the TCP level; a real NAT does not
even do that. Only the functions' own timeouts can notice it.

Here an answer counts as missing after one second, not after two (Pub/Sub) or three (AEP, IMS). That
only the first call waits for it is proved by the number of connections, not by a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.aep import AepServer, Behaviour, has_id, refusing, silent
from local.functions import Function
from local.pipeline import receive_env
from local.pubsub import PubSubServer, delayed
from local.tcp_proxy import TcpProxy
from tests.delivery_harness import (
    BACKLOG,
    DEAD_TOPIC,
    TOPIC,
    consumer_env,
    publish_events,
    source_with,
)
from tests.functions.test_drain import IDS, counts
from tests.webhooks import event, push_body, send, send_signed, unique_id, webhook

# It waits for the timeouts of connections.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("renewed")]
SILENT_SECONDS = 1.0


@pytest.fixture(scope="module")
def timeouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The setting that makes the functions notice a silent connection sooner."""
    modules = ("pubsub.client", "http")
    shorter = {f"pendo_aep.{one}._SILENT_SECONDS": SILENT_SECONDS for one in modules}
    return source_with(tmp_path_factory.mktemp("source"), shorter)


@pytest.fixture
async def to_pubsub(server: PubSubServer) -> AsyncIterator[TcpProxy]:
    """A proxy in front of Pub/Sub."""
    async with TcpProxy(server.host) as proxy:
        yield proxy


@pytest.fixture
async def receive(to_pubsub: TcpProxy, timeouts: dict[str, str]) -> AsyncIterator[Function]:
    """`receive`, with the proxy between it and Pub/Sub."""
    async with Function("receive", receive_env(to_pubsub.host, settings=timeouts)) as function:
        yield function


async def test_webhooks_are_stored_over_one_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """What waits on a silent connection shares one new one, which is replaced if silent itself.

    Webhooks and dead letters alone, then many of both at once.
    """
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    alone, letter = [webhook(1)], [b"not JSON"]
    many = [*(webhook(number) for number in range(2, 50)), *([b"not JSON"] * 5)]
    async with asyncio.timeout(10):  # three seconds, and four more each if nothing was noticed
        for connections, bodies in enumerate((alone, letter, many), start=2):
            to_pubsub.silence()
            answers = await asyncio.gather(*(send_signed(http, receive.url, x) for x in bodies))
            assert {answer.status for answer in answers} <= {200, 202}
            assert to_pubsub.connections == connections
    for number in range(50, 60):
        assert (await send_signed(http, receive.url, webhook(number))).status == 200
    assert to_pubsub.connections == 4
    assert len(server.published(TOPIC)) == 60
    assert len(server.published(DEAD_TOPIC)) == 6


async def test_a_slow_pubsub_gets_only_one_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A Pub/Sub that takes 1.5 s is not silent: one new connection, and no webhook is rejected."""
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    server.faults.add(delayed("Publish", 1.5 * SILENT_SECONDS))

    for number in range(1, 4):
        assert (await send_signed(http, receive.url, webhook(number))).status == 200
    assert to_pubsub.connections == 2
    assert len(server.published(TOPIC)) <= 5  # one call was made twice


async def test_a_slow_handshake_is_waited_for(
    receive: Function, to_pubsub: TcpProxy, http: aiohttp.ClientSession
) -> None:
    """A new connection to Pub/Sub may take longer to be set up than an answer may take."""
    to_pubsub.connect_seconds = 1.5 * SILENT_SECONDS
    assert (await send_signed(http, receive.url, webhook(0))).status == 200


@pytest.fixture
async def to_aep(aep: AepServer) -> AsyncIterator[TcpProxy]:
    """A proxy in front of AEP's streaming endpoint."""
    async with TcpProxy(aep.url.removeprefix("http://")) as proxy:
        yield proxy


@pytest.fixture
async def to_ims(aep: AepServer) -> AsyncIterator[TcpProxy]:
    """A proxy in front of IMS, which is the same stand-in."""
    async with TcpProxy(aep.url.removeprefix("http://")) as proxy:
        yield proxy


@pytest.fixture
async def deliver(
    to_pubsub: TcpProxy,
    to_aep: TcpProxy,
    to_ims: TcpProxy,
    server: PubSubServer,
    aep: AepServer,
    timeouts: dict[str, str],
) -> AsyncIterator[Function]:
    """`deliver` with a token and small batches, behind three proxies."""
    settings = {
        "BATCH_MAX_MESSAGES": "2",
        "AEP_ENDPOINT": f"http://{to_aep.host}/collection/{aep.inlet}",
        "AEP_IMS_URL": f"http://{to_ims.host}",
        "AEP_CLIENT_ID": aep.client_id,
        "AEP_CLIENT_SECRET": aep.client_secret,
        "PUBSUB_EMULATOR_HOST": to_pubsub.host,
        **timeouts,
    }
    async with Function("deliver", consumer_env(server, aep, **settings)) as function:
        yield function


async def deliver_events(http: aiohttp.ClientSession, function: Function, *numbers: int) -> None:
    """Pushes these events at once, which makes a batch of each pair."""
    bodies = [push_body(event(unique_id(number))) for number in numbers]
    answers = await asyncio.gather(*(send(http, function.url, body) for body in bodies))
    assert {answer.status for answer in answers} == {204}


async def test_events_are_delivered_over_new_connections(
    deliver: Function,
    to_aep: TcpProxy,
    to_ims: TcpProxy,
    to_pubsub: TcpProxy,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
) -> None:
    """Each of the three connections goes silent: one new one, which all later calls use."""
    aep.behaviour = Behaviour(needs_token=True)
    await deliver_events(http, deliver, 0)
    to_aep.silence()
    for number in range(1, 6):
        await deliver_events(http, deliver, number)
    assert to_aep.connections == 2

    aep.revoke_tokens()
    to_ims.silence()
    await deliver_events(http, deliver, 6)
    assert to_ims.connections == 2
    assert aep.distinct_ids == {unique_id(number) for number in range(7)}

    assert (await send(http, deliver.url, push_body(b"foreign"))).status == 204
    to_pubsub.silence()
    assert (await send(http, deliver.url, push_body(b"foreign too"))).status == 204
    assert to_pubsub.connections == 2
    assert len(server.published(DEAD_TOPIC)) == 2


async def test_a_batch_is_not_sent_over_a_second_silent_connection(
    deliver: Function, to_aep: TcpProxy, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Four kept connections are silent: a batch does not try one after the other."""
    aep.faults.add(silent(0.5 * SILENT_SECONDS, accepting=True))
    await deliver_events(http, deliver, *range(8))
    assert to_aep.connections == 4
    aep.faults.clear()
    to_aep.silence()

    async with asyncio.timeout(8):  # one second, and ten more for each further silent connection
        await deliver_events(http, deliver, *range(8, 16))
    assert aep.distinct_ids == {unique_id(number) for number in range(16)}


async def test_a_slow_aep_gets_one_batch_twice(
    deliver: Function, to_aep: TcpProxy, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """An AEP that takes 1.5 s is not silent: only one batch is posted twice, with the same ids."""
    await deliver_events(http, deliver, 0)
    aep.faults.add(silent(1.5 * SILENT_SECONDS, accepting=True))

    await deliver_events(http, deliver, 1)
    await deliver_events(http, deliver, 2)
    assert to_aep.connections == 2
    accepted = [message.id for message in aep.accepted]
    assert accepted == [unique_id(number) for number in (0, 1, 1, 2)]


async def test_drain_pulls_and_acknowledges_over_new_connections(
    to_pubsub: TcpProxy,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
    timeouts: dict[str, str],
) -> None:
    """The connection is silent when a run starts, and goes silent while AEP has the batch."""
    settings = consumer_env(server, aep, DRAIN_SECONDS="30", **timeouts)
    settings["PUBSUB_EMULATOR_HOST"] = to_pubsub.host
    async with Function("drain", settings) as drain:
        publish_events(server, IDS[:5])
        assert counts(await send(http, drain.url, b"")) == (5, 5, 0, 0)
        publish_events(server, IDS[5:10])
        to_pubsub.silence()
        assert counts(await send(http, drain.url, b"")) == (5, 5, 0, 0)
        assert server.stats(BACKLOG).idle

        aep.faults.add(silent(0.5, accepting=True), refusing(has_id(IDS[13])))
        publish_events(server, IDS[10:15])
        run = asyncio.create_task(send(http, drain.url, b""))
        await aep.wait_for(lambda: len(aep.accepted) > 10, 60)
        to_pubsub.silence()
        assert counts(await run) == (5, 4, 1, 0)
    assert server.stats(BACKLOG).idle
    assert aep.distinct_ids == {*IDS[:13], IDS[14]}
    assert len(server.published(DEAD_TOPIC)) == 1
