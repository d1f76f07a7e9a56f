"""`drain` while some calls to Pub/Sub fail: the run goes on, and its counts stay true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import grpc
import pytest

from local.aep import AepServer, has_id, refusing, silent
from local.functions import Function
from local.pubsub import PubSubServer, delayed, failing
from tests.delivery_harness import event
from tests.functions.test_drain import DEAD_TOPIC, SUBSCRIPTION, TOPIC, counts, settings_for
from tests.webhooks import send, unique_id

DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server with 30 events that wait to be drained."""
    async with PubSubServer(pull_wait=0.2) as running:
        running.create_topic(TOPIC)
        running.create_topic(DEAD_TOPIC)
        running.create_subscription(SUBSCRIPTION, TOPIC)
        for number in range(30):
            running.publish(TOPIC, event(unique_id(number)), eventId=unique_id(number))
        yield running


@pytest.fixture
async def drain(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The function, with batches of ten."""
    settings = {**settings_for(server, aep, "backlog"), "BATCH_MAX_MESSAGES": "10"}
    async with Function("drain", settings) as function:
        yield function


async def says(function: Function, text: str) -> None:
    """Waits until the function has logged this text."""
    async with asyncio.timeout(10):
        while text not in function.text:
            await function.next_line()


async def test_a_failed_lease_does_not_end_the_run(
    drain: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Messages whose lease was not extended are delivered and acknowledged all the same."""
    server.faults.add(failing("ModifyAckDeadline", DENIED))

    assert counts(await send(http, drain.url, b"")) == (30, 30, 0, 0)
    assert server.stats(SUBSCRIPTION).idle
    await says(drain, "messages may come again")


async def test_a_failed_acknowledgement_counts_as_returned(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """One of three batches is not acknowledged: it comes again, and the others do not."""
    aep.faults.add(refusing(has_id(unique_id(3), unique_id(13), unique_id(23))))
    server.faults.add(failing("Acknowledge", DENIED).times(1))

    assert counts(await send(http, drain.url, b"")) == (30, 18, 2, 10)
    stats = server.stats(SUBSCRIPTION)
    assert (stats.waiting, stats.outstanding) == (10, 0)

    assert counts(await send(http, drain.url, b"")) == (10, 9, 1, 0)
    assert server.stats(SUBSCRIPTION).idle
    assert len(aep.accepted) == 27 + 9
    assert len(aep.distinct_ids) == 27
    letters = [letter.attributes["eventId"] for letter in server.published(DEAD_TOPIC)]
    assert (len(letters), len(set(letters))) == (4, 3)


async def test_nothing_that_pubsub_refuses_is_counted_as_done(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """If Pub/Sub takes neither acknowledgement nor lease, AEP has all events and all come again."""
    server.faults.add(failing("Acknowledge", DENIED))
    server.faults.add(failing("ModifyAckDeadline", DENIED))

    assert counts(await send(http, drain.url, b"")) == (30, 0, 0, 30)
    assert len(aep.distinct_ids) == 30
    assert server.stats(SUBSCRIPTION).outstanding == 30  # until their leases end


async def test_a_failed_pull_ends_only_the_pulling(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What was pulled before is delivered and acknowledged; the log says what failed."""
    aep.faults.add(silent(0.5, accepting=True))
    server.faults.add(delayed("Pull", 0).times(1))
    server.faults.add(failing("Pull", DENIED).times(1))

    assert counts(await send(http, drain.url, b"")) == (30, 30, 0, 0)
    assert len(aep.accepted) == 30
    assert server.stats(SUBSCRIPTION).idle
    await says(drain, "cannot drain")
