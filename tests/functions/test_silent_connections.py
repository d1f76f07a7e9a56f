"""Connections that went silent: a NAT has dropped them, nobody says so, and new ones work.

The proxy drops what both sides send but still acknowledges it at the TCP level; a real NAT does not
even do that. Only the functions' own timeouts can notice it.
"""

from __future__ import annotations

import asyncio
import time
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
    pubsub_with_backlog,
)
from tests.functions.test_drain import IDS, counts
from tests.webhooks import event, push_body, send, send_signed, unique_id, webhook

pytestmark = pytest.mark.slow  # it waits for the real timeouts of connections


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server that only this test uses."""
    async with pubsub_with_backlog() as running:
        yield running


@pytest.fixture
async def to_pubsub(server: PubSubServer) -> AsyncIterator[TcpProxy]:
    """A proxy in front of Pub/Sub."""
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
    assert len(server.published(TOPIC)) == 12


async def test_waiting_webhooks_share_one_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Webhooks and dead letters that wait on one silent connection share one new one."""
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    to_pubsub.silence()

    bodies = [webhook(number) for number in range(1, 50)] + [b"not JSON"] * 5
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(send_signed(http, receive.url, body) for body in bodies))
    assert {answer.status for answer in answers} == {200, 202}
    assert to_pubsub.connections == 2
    assert len(server.published(TOPIC)) == 50
    assert len(server.published(DEAD_TOPIC)) == 5


async def test_a_dead_letter_is_stored_over_a_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A webhook that becomes a dead letter is answered within 3 s as well."""
    assert (await send_signed(http, receive.url, b"not JSON")).status == 202
    to_pubsub.silence()

    started = time.monotonic()
    assert (await send_signed(http, receive.url, b"not JSON either")).status == 202
    assert time.monotonic() - started < 3
    assert len(server.published(DEAD_TOPIC)) == 2


async def test_repeated_silence(
    receive: Function, to_pubsub: TcpProxy, http: aiohttp.ClientSession
) -> None:
    """A new connection that goes silent is replaced too."""
    for number in range(3):
        assert (await send_signed(http, receive.url, webhook(2 * number))).status == 200
        to_pubsub.silence()
        started = time.monotonic()
        assert (await send_signed(http, receive.url, webhook(2 * number + 1))).status == 200
        assert time.monotonic() - started < 3


async def test_a_slow_pubsub_gets_only_one_new_connection(
    receive: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A Pub/Sub that takes 2.5 s is not silent: one new connection, and no webhook is rejected."""
    assert (await send_signed(http, receive.url, webhook(0))).status == 200
    server.faults.add(delayed("Publish", 2.5))

    for number in range(1, 4):
        assert (await send_signed(http, receive.url, webhook(number))).status == 200
    assert to_pubsub.connections == 2
    assert len(server.published(TOPIC)) <= 5  # one call was made twice


async def test_a_slow_handshake_is_waited_for(
    receive: Function, to_pubsub: TcpProxy, http: aiohttp.ClientSession
) -> None:
    """A new connection to Pub/Sub may take more than a second to be set up."""
    to_pubsub.connect_seconds = 1.5
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
    to_pubsub: TcpProxy, to_aep: TcpProxy, to_ims: TcpProxy, server: PubSubServer, aep: AepServer
) -> AsyncIterator[Function]:
    """`deliver` with a token and small batches, behind three proxies."""
    settings = {
        "BATCH_MAX_MESSAGES": "2",
        "AEP_ENDPOINT": f"http://{to_aep.host}/collection/{aep.inlet}",
        "AEP_IMS_URL": f"http://{to_ims.host}",
        "AEP_CLIENT_ID": aep.client_id,
        "AEP_CLIENT_SECRET": aep.client_secret,
        "PUBSUB_EMULATOR_HOST": to_pubsub.host,
    }
    async with Function("deliver", consumer_env(server, aep, **settings)) as function:
        yield function


async def deliver_event(http: aiohttp.ClientSession, function: Function, number: int) -> float:
    """Pushes one event, expects it to be acknowledged, and returns the seconds that took."""
    started = time.monotonic()
    answer = await send(http, function.url, push_body(event(unique_id(number))))
    assert answer.status == 204
    return time.monotonic() - started


async def test_a_batch_is_accepted_over_a_new_connection(
    deliver: Function, to_aep: TcpProxy, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """The first batch after the silence reaches AEP within 4 s, all later ones at once."""
    await deliver_event(http, deliver, 0)
    to_aep.silence()

    assert await deliver_event(http, deliver, 1) < 4
    for number in range(2, 6):
        assert await deliver_event(http, deliver, number) < 1
    assert to_aep.connections == 2
    assert aep.distinct_ids == {unique_id(number) for number in range(6)}


async def test_a_batch_is_not_sent_over_a_second_silent_connection(
    deliver: Function, to_aep: TcpProxy, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Four kept connections are silent: a batch does not try one after the other."""
    aep.faults.add(silent(0.5, accepting=True))
    await deliver_all(http, deliver, range(8))
    assert to_aep.connections == 4
    aep.faults.clear()
    to_aep.silence()

    async with asyncio.timeout(5):
        await deliver_all(http, deliver, range(8, 16))
    assert aep.distinct_ids == {unique_id(number) for number in range(16)}


async def deliver_all(http: aiohttp.ClientSession, function: Function, numbers: range) -> None:
    """Pushes these events at once, which makes a batch of each pair."""
    await asyncio.gather(*(deliver_event(http, function, number) for number in numbers))


async def test_a_token_is_fetched_over_a_new_connection(
    deliver: Function, to_ims: TcpProxy, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """A token that is needed while the kept connection to IMS is silent comes within 4 s."""
    aep.behaviour = Behaviour(needs_token=True)
    await deliver_event(http, deliver, 0)
    aep.revoke_tokens()
    to_ims.silence()

    assert await deliver_event(http, deliver, 1) < 4
    assert to_ims.connections == 2


async def test_a_slow_aep_gets_one_batch_twice(
    deliver: Function, to_aep: TcpProxy, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """An AEP that takes 3.5 s is not silent: only one batch is posted twice, with the same ids."""
    await deliver_event(http, deliver, 0)
    aep.faults.add(silent(3.5, accepting=True))

    await deliver_event(http, deliver, 1)
    await deliver_event(http, deliver, 2)
    assert to_aep.connections == 2
    accepted = [message.id for message in aep.accepted]
    assert accepted == [unique_id(number) for number in (0, 1, 1, 2)]


async def test_a_rejected_event_is_dead_lettered_over_a_new_connection(
    deliver: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A dead letter of `deliver` is stored within 3 s although the connection is silent."""
    assert (await send(http, deliver.url, push_body(b"foreign"))).status == 204
    to_pubsub.silence()

    started = time.monotonic()
    assert (await send(http, deliver.url, push_body(b"foreign too"))).status == 204
    assert time.monotonic() - started < 3
    assert len(server.published(DEAD_TOPIC)) == 2


@pytest.fixture
async def drain(
    to_pubsub: TcpProxy, to_aep: TcpProxy, server: PubSubServer, aep: AepServer
) -> AsyncIterator[Function]:
    """`drain` behind two proxies, with ten seconds for a run."""
    endpoint = f"http://{to_aep.host}/collection/{aep.inlet}"
    settings = consumer_env(server, aep, AEP_ENDPOINT=endpoint, DRAIN_SECONDS="10")
    settings["PUBSUB_EMULATOR_HOST"] = to_pubsub.host
    async with Function("drain", settings) as function:
        yield function


async def test_a_pull_over_a_silent_connection_is_repeated(
    drain: Function, to_pubsub: TcpProxy, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A run that starts on a silent connection pulls over a new one, until nothing is left."""
    publish_events(server, IDS[:5])
    assert counts(await send(http, drain.url, b"")) == (5, 5, 0, 0)
    publish_events(server, IDS[5:10])
    to_pubsub.silence()

    assert counts(await send(http, drain.url, b"")) == (5, 5, 0, 0)
    assert server.stats(BACKLOG).idle


async def test_messages_are_acknowledged_over_a_new_connection(
    drain: Function,
    to_pubsub: TcpProxy,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
) -> None:
    """If the connection goes silent while AEP has the batch, all is acknowledged over a new one."""
    aep.faults.add(silent(1, accepting=True), refusing(has_id(unique_id(3))))
    publish_events(server, IDS[:5])
    run = asyncio.create_task(send(http, drain.url, b""))
    async with asyncio.timeout(5):
        while not aep.accepted:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.01)
    to_pubsub.silence()

    assert counts(await run) == (5, 4, 1, 0)
    assert server.stats(BACKLOG).idle
    assert aep.distinct_ids == {unique_id(number) for number in (0, 1, 2, 4)}
    assert len(server.published(DEAD_TOPIC)) == 1
