"""`drain` over HTTP: what it answers, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import orjson
import pytest
from starlette.requests import Request

from local.aep import AepServer, answering, has_id, refusing, silent
from local.functions import Function
from local.pipeline import DEAD
from local.pubsub import PubSubServer
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.group_commit import Limits
from pendo_aep.outcome import DELIVERED, Outcome
from pendo_aep.pipeline.deliver import Delivery, Disposition
from pendo_aep.pipeline.drain import Drain
from pendo_aep.pubsub.subscriber import ReceivedMessage, Subscriber
from tests.delivery_harness import event
from tests.webhooks import Answer, send, unique_id

TOPIC, DEAD_TOPIC = "projects/local/topics/backlog", f"projects/local/topics/{DEAD}"
SUBSCRIPTION = "projects/local/subscriptions/backlog"


@pytest.fixture
async def server() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server of this test's own, with a subscription to be drained."""
    async with PubSubServer(pull_wait=0.2) as running:
        running.create_topic(TOPIC)
        running.create_topic(DEAD_TOPIC)
        running.create_subscription(SUBSCRIPTION, TOPIC)
        yield running


@pytest.fixture
async def drain(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The function, on the backlog."""
    async with Function("drain", settings_for(server, aep, "backlog")) as function:
        yield function


def settings_for(server: PubSubServer, aep: AepServer, subscription: str) -> dict[str, str]:
    """What `drain` needs, with four seconds a run."""
    return {
        "PUBSUB_EMULATOR_HOST": server.host,
        "AEP_ENDPOINT": aep.endpoint,
        "AEP_FLOW_ID": "flow-1",
        "DRAIN_SUBSCRIPTION": subscription,
        "DRAIN_SECONDS": "4",
    }


def counts(answer: Answer) -> tuple[int, int, int, int]:
    """ReceivedMessage, delivered, refused, returned."""
    assert answer.status == 200
    told = answer.json()
    assert list(told) == ["pulled", "delivered", "refused", "returned"]
    return told["pulled"], told["delivered"], told["refused"], told["returned"]


async def test_a_backlog_goes_in_full_batches(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """5,000 waiting events are delivered and acknowledged, in five requests of a thousand."""
    ids = [unique_id(number) for number in range(5000)]
    for event_id in ids:
        server.publish(TOPIC, event(event_id), eventId=event_id)

    assert counts(await send(http, drain.url, b"")) == (5000, 5000, 0, 0)

    assert aep.distinct_ids == set(ids)
    assert server.stats(SUBSCRIPTION).idle
    assert [request.messages for request in aep.requests] == [1000] * 5


async def test_an_empty_subscription_is_no_failure(
    drain: Function, http: aiohttp.ClientSession
) -> None:
    """With nothing to do it says so, and ends."""
    assert counts(await send(http, drain.url, b"")) == (0, 0, 0, 0)


async def test_each_message_comes_to_its_own_end(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Of one batch some are delivered, some buried with their reason, and some given back."""
    ids = [unique_id(number) for number in range(20)]
    aep.faults.add(refusing(has_id(ids[3])), refusing(has_id(ids[5]), status=403))
    for event_id in ids:
        server.publish(TOPIC, event(event_id), eventId=event_id)
    server.publish(TOPIC, b"foreign", eventId="foreign")

    assert counts(await send(http, drain.url, b"")) == (21, 18, 2, 1)

    assert aep.distinct_ids == set(ids) - {ids[3], ids[5]}
    letters = {m.attributes["eventId"]: m for m in server.published(DEAD_TOPIC)}
    assert {i: m.attributes["reason"] for i, m in letters.items()} == {
        ids[3]: "rejected",
        "foreign": "foreign",
    }
    assert letters["foreign"].data == b"foreign"
    stats = server.stats(SUBSCRIPTION)
    assert (stats.waiting, stats.outstanding) == (1, 0)  # at once, not when a lease has ended


async def test_an_outage_ends_the_run_early(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """While AEP keeps failing everything is given back, and nothing more is pulled."""
    ids = [unique_id(number) for number in range(3000)]
    for event_id in ids:
        server.publish(TOPIC, event(event_id), eventId=event_id)
    aep.faults.add(answering(503))

    pulled, delivered, refused, returned = counts(await send(http, drain.url, b""))

    assert (delivered, refused, returned) == (0, 0, pulled)
    stats = server.stats(SUBSCRIPTION)
    assert (stats.waiting, stats.outstanding) == (3000, 0)


async def test_a_run_ends_in_its_time(
    drain: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """An AEP that is silent does not hold a run beyond DRAIN_SECONDS."""
    server.publish(TOPIC, event(unique_id(1)), eventId=unique_id(1))
    aep.faults.add(silent(30))

    timeout = aiohttp.ClientTimeout(total=6)
    async with http.post(drain.url, timeout=timeout) as response:
        told = orjson.loads(await response.read())

    assert told == {"pulled": 1, "delivered": 0, "refused": 0, "returned": 1}


async def test_a_missing_subscription_is_said(
    server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What cannot be pulled from is answered 503, with the setting's name."""
    async with Function("drain", settings_for(server, aep, "nowhere")) as drain:
        answer = await send(http, drain.url, b"")

    assert answer.status == 503
    assert "DRAIN_SUBSCRIPTION" in answer.json()["error"]


class BusyPuller:
    """A subscription in which one more message always waits."""

    def __init__(self) -> None:
        self.waits: list[float] = []  # how long each pull was to wait

    async def pull(self, limit: int, wait_seconds: float) -> list[ReceivedMessage]:
        """One message, after a moment."""
        assert limit
        self.waits.append(wait_seconds)
        await asyncio.sleep(0.005)
        number = len(self.waits)
        return [
            ReceivedMessage(
                f"ack-{number}", event(unique_id(number)), {"eventId": unique_id(number)}
            )
        ]

    async def modify_ack_deadline(self, ack_ids: list[str], seconds: int) -> None:
        """Takes it."""

    async def acknowledge(self, ack_ids: list[str]) -> list[str]:
        """Takes it."""
        return ack_ids


class Accepting:
    """Encodes, accepts and ends every message."""

    rejects_now = only_probes = False

    def encode(self, data: bytes, _: dict[str, str]) -> bytes:
        """As it is."""
        return data

    async def send(self, batch: list[PendingMessage]) -> list[Outcome]:
        """AEP has taken all."""
        return [DELIVERED] * len(batch)

    def settle(self, *_: object) -> Disposition:
        """It is done."""
        return Disposition.ACK


async def test_a_busy_run_does_not_begin_a_pull_that_it_would_give_up() -> None:
    """Near the end of its time it stops; a pull of some milliseconds would lose what it is handed.

    Assumed: Pub/Sub, like the stand-in, does not notice that the client has given up.
    """
    puller, rest = BusyPuller(), Accepting()
    limits = Limits(max_items=1000, max_bytes=950_000, max_in_flight=4)
    drain = Drain(
        cast("Subscriber", puller),
        cast("Delivery", rest),
        cast("BatchSender", rest),
        limits,
        seconds=1.0,
    )

    answer = await drain(Request({"type": "http"}))

    assert answer.status_code == 200
    assert len(puller.waits) > 1
    assert min(puller.waits) >= 0.5
