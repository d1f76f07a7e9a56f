"""The faults and events of the Pub/Sub stand-in, through Google's clients."""

import asyncio
from typing import Any

import grpc
import pytest
import uvloop
from google.api_core import exceptions

from local.pubsub import (
    Acked,
    DeadLettered,
    DeadLetterPolicy,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    Nacked,
    Published,
    closed_topic,
    delayed,
    failing,
    hanging,
    rejecting,
)
from local.pubsub.timers import Timetable
from tests.local.pubsub_harness import DEAD, SUBSCRIPTION, TOPIC, endpoint, pubsub_server


async def test_a_call_fails_as_often_as_asked() -> None:
    """The next two calls fail with the status; the third succeeds."""
    async with pubsub_server() as (server, google):
        server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE).times(2))
        for _ in range(2):
            with pytest.raises(exceptions.ServiceUnavailable):
                await google.publish(b"lost")
        await google.publish(b"kept")
        assert [message.data for message in server.published(TOPIC)] == [b"kept"]


async def test_a_call_can_be_stored_and_fail() -> None:
    """A publish that fails afterwards is stored, so its retry makes a second message."""
    async with pubsub_server() as (server, google):
        server.faults.add(
            failing("Publish", grpc.StatusCode.DEADLINE_EXCEEDED, after=True).times(1)
        )
        with pytest.raises(exceptions.DeadlineExceeded):
            await google.publish(b"x")
        await google.publish(b"x")
        assert [message.data for message in server.published(TOPIC)] == [b"x", b"x"]


@pytest.mark.parametrize(("after", "stored"), [(False, 0), (True, 1)])
async def test_a_call_can_hang(after: bool, stored: int) -> None:
    """A hanging call ends when its client gives up, before or after it took effect."""
    async with pubsub_server() as (server, google):
        server.faults.add(hanging("Publish", after=after).times(1))
        with pytest.raises(exceptions.DeadlineExceeded):
            await google.publisher.publish(
                request={"topic": TOPIC, "messages": [{"data": b"x"}]},
                retry=None,
                timeout=0.2,
            )
        assert len(server.published(TOPIC)) == stored


async def test_a_call_can_be_delayed() -> None:
    """A delayed call takes effect after the delay, and succeeds."""
    async with pubsub_server() as (server, google):
        server.faults.add(delayed("Publish", 0.2).times(1))
        start = asyncio.get_running_loop().time()
        publishing = asyncio.create_task(google.publish(b"x"))
        await server.wait_for(lambda: len(server.published(TOPIC)) == 1)
        assert asyncio.get_running_loop().time() - start >= 0.2
        assert await publishing == ["1"]


async def test_one_message_can_be_rejected() -> None:
    """A publish with a rejected message fails as a whole; without it, it succeeds."""
    async with pubsub_server() as (server, google):
        server.faults.add(rejecting(lambda data, _attributes: data == b"bad"))
        with pytest.raises(exceptions.InvalidArgument):
            await google.publish(b"good", b"bad")
        assert not server.published(TOPIC)
        await google.publish(b"good")
        assert len(server.published(TOPIC)) == 1


async def test_one_topic_can_be_closed() -> None:
    """A closed topic accepts nothing; another topic and its subscription still work."""
    other = TOPIC + "-other"

    async with pubsub_server() as (server, google):
        server.create_topic(other)
        server.create_subscription(SUBSCRIPTION, TOPIC)
        server.faults.add(closed_topic(other, grpc.StatusCode.PERMISSION_DENIED))
        request = {"topic": other, "messages": [{"data": b"x"}]}
        with pytest.raises(exceptions.PermissionDenied):
            await google.publisher.publish(request=request, retry=None)
        await google.publish(b"x")
        assert len(await google.pull()) == 1
        server.faults.clear()
        await google.publisher.publish(request=request, retry=None)
        assert len(server.published(other)) == 1


async def test_an_observer_gets_the_events_of_a_push() -> None:
    """An observer gets every event of a push in order: nacked first, then acknowledged."""
    statuses = iter([503, 204])

    async def answer(_body: dict[str, Any]) -> int:
        return next(statuses)

    events: list[Event] = []
    async with pubsub_server() as (server, _), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        server.observe(events.append)
        server.publish(TOPIC, b"x")
        await server.idle()
        (message,) = server.published(TOPIC)
        assert events == [
            Published(TOPIC, message),
            DeliveryStarted(SUBSCRIPTION, message, 1),
            DeliveryEnded(SUBSCRIPTION, message, 1, 503),
            Nacked(SUBSCRIPTION, message, 1, "refused"),
            DeliveryStarted(SUBSCRIPTION, message, 2),
            DeliveryEnded(SUBSCRIPTION, message, 2, 204),
            Acked(SUBSCRIPTION, message, 2),
        ]


async def test_an_observer_gets_expiry_and_dead_letters() -> None:
    """The expiry of a lease is an event, and so is the move to the dead-letter topic."""
    events: list[Event] = []
    async with pubsub_server(ack_deadline=0.05, pull_wait=5) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, dead_letter_policy=DeadLetterPolicy(DEAD))
        server.publish(TOPIC, b"x")
        for _ in range(5):
            await google.pull()
        server.observe(events.append)
        await server.idle(SUBSCRIPTION)
        (message,), (dead,) = server.published(TOPIC), server.published(DEAD)
        assert events == [
            Nacked(SUBSCRIPTION, message, 5, "expired"),
            Published(DEAD, dead),
            DeadLettered(SUBSCRIPTION, message, 5, DEAD, dead.id),
        ]


def test_the_timetable_runs_on_uvloop() -> None:
    """On uvloop, items that are due in the past do not block later ones."""

    async def test() -> None:
        due: asyncio.Queue[int] = asyncio.Queue()
        timetable: Timetable[int] = Timetable(due.put_nowait, lambda _when, _item: True)
        past = asyncio.get_running_loop().time() - 1
        for item in (1, 2):
            timetable.add(past, item)
        async with asyncio.timeout(30):
            assert [await due.get(), await due.get()] == [1, 2]

    uvloop.run(test())
