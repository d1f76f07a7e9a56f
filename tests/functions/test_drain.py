"""`drain` over HTTP: what it answers, what it leaves behind, and what it does when calls fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import grpc
import pytest
from starlette.requests import Request

from local.aep import AepServer, answering, has_id, refusing, silent
from local.functions import Function
from local.pubsub import PubSubServer, delayed, failing
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.group_commit import Limits
from pendo_aep.outcome import DELIVERED, Outcome
from pendo_aep.pipeline.deliver import Delivery, Disposition
from pendo_aep.pipeline.drain import Drain
from pendo_aep.pubsub.subscriber import ReceivedMessage, Subscriber
from tests.delivery_harness import (
    BACKLOG,
    DEAD_TOPIC,
    TOPIC,
    accepted_places,
    consumer_env,
    logged_place,
    publish_events,
    wait_for_line,
)
from tests.webhooks import Answer, event, send, unique_id

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("renewed")]

DENIED = grpc.StatusCode.PERMISSION_DENIED
IDS = [unique_id(number) for number in range(2500)]


@pytest.fixture(scope="module")
async def drain(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The function, with batches of ten, and a time for a run that no test here uses up."""
    settings = consumer_env(server, aep, BATCH_MAX_MESSAGES="10", DRAIN_SECONDS="60")
    async with Function("drain", settings) as function:
        yield function


def counts(answer: Answer) -> tuple[int, int, int, int]:
    """Returns what was pulled, delivered, refused and returned."""
    assert answer.status == 200
    body = answer.json()
    assert list(body) == ["pulled", "delivered", "refused", "returned"]
    return body["pulled"], body["delivered"], body["refused"], body["returned"]


async def test_a_backlog_is_sent_in_full_batches(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """2,500 waiting events are delivered and acknowledged, in three requests."""
    publish_events(server, IDS)

    async with Function("drain", consumer_env(server, aep, DRAIN_SECONDS="60")) as drain:
        assert counts(await send(http, drain.url, b"")) == (2500, 2500, 0, 0)
        await wait_for_line(drain, lambda line: line["message"] == "drained")

    assert aep.distinct_ids == set(IDS)
    assert server.stats(BACKLOG).idle
    assert [request.messages for request in aep.requests] == [1000, 1000, 500]
    delivered = [line for line in drain.lines if line["message"] == "message delivered"]
    logged = {line["eventId"]: {logged_place(line)} for line in delivered}
    assert logged == accepted_places(aep)


async def test_each_message_is_settled_by_its_own_outcome(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Of one batch some are delivered, some dead-lettered with their reason, and some returned.

    With nothing to do it answers zeros.
    """
    assert counts(await send(http, drain.url, b"")) == (0, 0, 0, 0)
    ids = IDS[:20]
    aep.faults.add(refusing(has_id(ids[3])), refusing(has_id(ids[5]), status=403))
    publish_events(server, ids)
    server.publish(TOPIC, b"foreign", eventId="foreign")

    assert counts(await send(http, drain.url, b"")) == (21, 18, 2, 1)

    assert aep.distinct_ids == set(ids) - {ids[3], ids[5]}
    letters = {m.attributes["eventId"]: m for m in server.published(DEAD_TOPIC)}
    assert {i: m.attributes["reason"] for i, m in letters.items()} == {
        ids[3]: "rejected",
        "foreign": "foreign",
    }
    assert letters["foreign"].data == b"foreign"
    stats = server.stats(BACKLOG)
    assert (stats.waiting, stats.outstanding) == (1, 0)  # at once, not after the ack deadline


async def test_an_outage_ends_the_run_early(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """While AEP is silent, a run ends after DRAIN_SECONDS; while it keeps failing, it ends early.

    Then everything is returned, and nothing more is pulled.
    """
    publish_events(server, IDS[:1])
    async with Function("drain", consumer_env(server, aep, DRAIN_SECONDS="4")) as drain:
        aep.faults.add(silent(60))
        async with asyncio.timeout(40):
            assert counts(await send(http, drain.url, b"")) == (1, 0, 0, 1)

        publish_events(server, IDS[1:])
        aep.faults.clear()
        aep.faults.add(answering(503))
        pulled, delivered, refused, returned = counts(await send(http, drain.url, b""))
        assert (delivered, refused, returned) == (0, 0, pulled)
    stats = server.stats(BACKLOG)
    assert (stats.waiting, stats.outstanding) == (len(IDS), 0)


async def test_a_missing_subscription_is_answered_503(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """When it cannot pull, the answer names the setting."""
    settings = consumer_env(server, aep, DRAIN_SUBSCRIPTION="nowhere")
    async with Function("drain", settings) as drain:
        answer = await send(http, drain.url, b"")

    assert answer.status == 503
    assert "DRAIN_SUBSCRIPTION" in answer.json()["error"]


async def test_a_failed_ack_deadline_does_not_end_the_run(
    drain: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Messages whose ack deadline was not extended are still delivered and acknowledged."""
    publish_events(server, IDS[:30])
    server.faults.add(failing("ModifyAckDeadline", DENIED))

    assert counts(await send(http, drain.url, b"")) == (30, 30, 0, 0)
    assert server.stats(BACKLOG).idle
    await wait_for_line(drain, lambda line: "messages may come again" in line["message"])


async def test_a_failed_acknowledgement_counts_as_returned(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """If one of three batches is not acknowledged, it comes again, and the others do not."""
    publish_events(server, IDS[:30])
    aep.faults.add(refusing(has_id(IDS[3], IDS[13], IDS[23])))
    server.faults.add(failing("Acknowledge", DENIED).times(1))

    assert counts(await send(http, drain.url, b"")) == (30, 18, 2, 10)
    stats = server.stats(BACKLOG)
    assert (stats.waiting, stats.outstanding) == (10, 0)

    assert counts(await send(http, drain.url, b"")) == (10, 9, 1, 0)
    assert server.stats(BACKLOG).idle
    assert len(aep.accepted) == 27 + 9
    assert len(aep.distinct_ids) == 27
    letters = [letter.attributes["eventId"] for letter in server.published(DEAD_TOPIC)]
    assert (len(letters), len(set(letters))) == (4, 3)


async def test_unacknowledged_messages_are_not_counted_as_delivered(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """If Pub/Sub rejects every acknowledgement, AEP has all events and all come again."""
    publish_events(server, IDS[:30])
    server.faults.add(failing("Acknowledge", DENIED))
    server.faults.add(failing("ModifyAckDeadline", DENIED))

    assert counts(await send(http, drain.url, b"")) == (30, 0, 0, 30)
    assert len(aep.distinct_ids) == 30
    assert server.stats(BACKLOG).outstanding == 30  # until their ack deadline


async def test_a_failed_pull_ends_only_the_pulling(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What was pulled before is delivered and acknowledged; the log names the failure."""
    publish_events(server, IDS[:30])
    aep.faults.add(silent(0.5, accepting=True))
    server.faults.add(delayed("Pull", 0).times(1))
    server.faults.add(failing("Pull", DENIED).times(1))

    assert counts(await send(http, drain.url, b"")) == (30, 30, 0, 0)
    assert len(aep.accepted) == 30
    assert server.stats(BACKLOG).idle
    await wait_for_line(drain, lambda line: line["message"] == "cannot drain")


class BusySubscriber:
    """A subscription in which one more message always waits."""

    def __init__(self) -> None:
        self.waits: list[float] = []  # how long each pull was to wait

    async def pull(self, limit: int, wait_seconds: float) -> list[ReceivedMessage]:
        """Returns one message, after a moment."""
        assert limit
        self.waits.append(wait_seconds)
        await asyncio.sleep(0.005)
        event_id = unique_id(len(self.waits))
        return [ReceivedMessage(f"ack-{event_id}", event(event_id), {"eventId": event_id})]

    async def modify_ack_deadline(self, ack_ids: list[str], seconds: int) -> None:
        """Does nothing."""

    async def acknowledge(self, ack_ids: list[str]) -> list[str]:
        """Acknowledges all."""
        return ack_ids


class AcceptingDelivery:
    """Encodes, delivers and acknowledges every message."""

    rejects_now = only_probes = False

    def encode(self, data: bytes, _: dict[str, str]) -> bytes:
        """Returns the data."""
        return data

    async def send(self, batch: list[PendingMessage]) -> list[Outcome]:
        """Delivers all."""
        return [DELIVERED] * len(batch)

    def settle(self, *_: object) -> Disposition:
        """Acknowledges it."""
        return Disposition.ACK


async def run_drain(subscriber: BusySubscriber, delivery: AcceptingDelivery) -> int:
    """Runs `drain` in this process for a second, and returns its status."""
    drain = Drain(
        cast("Subscriber", subscriber),
        cast("Delivery", delivery),
        cast("BatchSender", delivery),
        Limits(max_items=1000, max_bytes=950_000, max_in_flight=4),
        seconds=1.0,
    )
    return (await drain(Request({"type": "http"}))).status_code


async def test_no_pull_begins_near_the_end_of_a_run() -> None:
    """A pull of a few milliseconds would lose the messages that it is handed too late.

    Assumed: Pub/Sub, like the stand-in, does not notice that the client no longer waits.
    """
    subscriber = BusySubscriber()

    assert await run_drain(subscriber, AcceptingDelivery()) == 200

    assert len(subscriber.waits) > 1
    assert min(subscriber.waits) >= 0.5


async def test_nothing_is_pulled_while_the_circuit_is_open() -> None:
    """While AEP keeps failing messages stay in the subscription."""
    subscriber, delivery = BusySubscriber(), AcceptingDelivery()
    delivery.rejects_now = True

    assert await run_drain(subscriber, delivery) == 200

    assert subscriber.waits == []
