"""Pull and StreamingPull, leases and dead letters, through Google's clients."""

import asyncio
import itertools

import pytest

from local.pubsub import DeadLetterPolicy, DeliveryStarted, Event, RetryPolicy
from tests.local.pubsub_harness import (
    DEAD,
    DEAD_SUBSCRIPTION,
    SUBSCRIPTION,
    TOPIC,
    Clients,
    pubsub_server,
)


async def _modify(google: Clients, ack_id: str, seconds: int) -> None:
    await google.subscriber.modify_ack_deadline(
        subscription=SUBSCRIPTION, ack_ids=[ack_id], ack_deadline_seconds=seconds
    )


async def test_an_acknowledged_message_is_gone() -> None:
    """Only acknowledged messages leave the subscription."""
    async with pubsub_server(pull_wait=0.05) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await google.publish(b"1", b"2", b"3")
        first, second = await google.pull(limit=2)
        assert [first.message.data, second.message.data] == [b"1", b"2"]
        await google.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first.ack_id])
        stats = server.stats(SUBSCRIPTION)
        assert (stats.waiting, stats.outstanding, stats.acked) == (1, 1, 1)
        assert not stats.idle
        (third,) = await google.pull()
        await google.subscriber.acknowledge(
            subscription=SUBSCRIPTION, ack_ids=[second.ack_id, third.ack_id, "no such id"]
        )
        assert server.stats(SUBSCRIPTION).idle
        assert await google.pull() == []


async def test_each_subscription_gets_every_message() -> None:
    """Two subscriptions of a topic each get what is published after they were created."""
    async with pubsub_server() as (server, google):
        await google.publish(b"early")
        server.create_subscription(SUBSCRIPTION, TOPIC)
        server.create_subscription(DEAD_SUBSCRIPTION, TOPIC)
        (message_id,) = await google.publish(b"x")
        for subscription in (SUBSCRIPTION, DEAD_SUBSCRIPTION):
            (received,) = await google.pull(subscription=subscription)
            assert received.message.message_id == message_id
            assert received.message.publish_time is not None


async def test_pull_waits_for_a_first_message() -> None:
    """A waiting pull returns with the next publish."""
    async with pubsub_server(pull_wait=10) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        pulling = asyncio.create_task(google.pull())
        assert not (await asyncio.wait([pulling], timeout=0.05))[0]
        await google.publish(b"x")
        (received,) = await asyncio.wait_for(pulling, 2)
        assert received.message.data == b"x"


async def test_pull_can_return_immediately() -> None:
    """With return_immediately an empty subscription answers at once."""
    async with pubsub_server(pull_wait=60) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        with pytest.warns(DeprecationWarning, match="return_immediately"):
            response = await google.subscriber.pull(
                subscription=SUBSCRIPTION, max_messages=1, return_immediately=True, timeout=5
            )
        assert not response.received_messages


async def test_a_lease_that_expires_brings_the_message_back() -> None:
    """After its ack deadline a message is delivered again; a late acknowledgement is ignored."""
    async with pubsub_server(pull_wait=5) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await google.publish(b"x")
        (first,) = await google.pull()
        await _modify(google, first.ack_id, 1)
        (second,) = await google.pull()
        assert second.message.message_id == first.message.message_id
        assert second.ack_id != first.ack_id
        await google.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first.ack_id])
        assert server.stats(SUBSCRIPTION).outstanding == 1
        assert server.stats(SUBSCRIPTION).attempts == {first.message.message_id: 2}


async def test_a_lease_can_be_extended() -> None:
    """A message with an extended deadline does not return at the old one."""
    async with pubsub_server(pull_wait=0.4, ack_deadline=0.2) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await google.publish(b"x")
        (first,) = await google.pull()
        await _modify(google, first.ack_id, 60)
        assert await google.pull() == []


async def test_a_nack_brings_the_message_back_at_once() -> None:
    """A deadline of zero returns the message; without a policy no attempt is shown."""
    async with pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC)
        await google.publish(b"x")
        (first,) = await google.pull()
        await _modify(google, first.ack_id, 0)
        (second,) = await google.pull()
        assert second.message == first.message
        assert (first.delivery_attempt, second.delivery_attempt) == (0, 0)


async def test_backoff_doubles_between_its_bounds() -> None:
    """A message nacked repeatedly waits longer each time, up to the maximum."""
    times: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, DeliveryStarted):
            times.append(asyncio.get_running_loop().time())

    async with pubsub_server(pull_wait=5) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, retry_policy=RetryPolicy(0.05, 0.15))
        server.observe(note)
        await google.publish(b"x")
        for _ in range(5):
            (received,) = await google.pull()
            await _modify(google, received.ack_id, 0)
        gaps = [after - before for before, after in itertools.pairwise(times)]
        for gap, backoff in zip(gaps, [0.05, 0.1, 0.15, 0.15], strict=True):
            assert backoff <= gap < backoff + 0.5


async def test_backoff_does_not_block_other_messages() -> None:
    """During the backoff of a message, a later one is delivered before it."""
    async with pubsub_server(pull_wait=5) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, retry_policy=RetryPolicy(0.3, 0.3))
        await google.publish(b"refused")
        (received,) = await google.pull()
        await _modify(google, received.ack_id, 0)
        assert server.stats(SUBSCRIPTION).waiting == 1
        await google.publish(b"later")
        pulled = [message for _ in range(2) for message in await google.pull()]
        assert [one.message.data for one in pulled] == [b"later", b"refused"]


async def test_too_many_attempts_make_a_dead_letter() -> None:
    """After five attempts the message moves to the dead-letter topic, with Google's attributes."""
    async with pubsub_server(pull_wait=0.05) as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, dead_letter_policy=DeadLetterPolicy(DEAD))
        server.create_subscription(DEAD_SUBSCRIPTION, DEAD)
        server.publish(TOPIC, b"poison", a="b")
        attempts = []
        for _ in range(5):
            (received,) = await google.pull()
            attempts.append(received.delivery_attempt)
            await _modify(google, received.ack_id, 0)
        assert attempts == [1, 2, 3, 4, 5]
        assert await google.pull() == []
        (dead,) = await google.pull(subscription=DEAD_SUBSCRIPTION)
        published = server.published(TOPIC)[0].publish_time
        assert dead.message.data == b"poison"
        assert dict(dead.message.attributes) == {
            "a": "b",
            "CloudPubSubDeadLetterSourceDeliveryCount": "5",
            "CloudPubSubDeadLetterSourceSubscription": "events-out",
            "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
            "CloudPubSubDeadLetterSourceTopicPublishTime": published.isoformat(
                timespec="milliseconds"
            ),
        }
        stats = server.stats(SUBSCRIPTION)
        assert (stats.idle, stats.acked, stats.dead_lettered) == (True, 0, 1)


async def test_a_message_outlives_its_dead_letter_topic() -> None:
    """A message stays in the subscription when its dead-letter topic is deleted."""
    async with pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, dead_letter_policy=DeadLetterPolicy(DEAD))
        await google.publisher.delete_topic(topic=DEAD)
        await google.publish(b"poison")
        for _ in range(6):
            (received,) = await google.pull()
            await _modify(google, received.ack_id, 0)
        assert received.delivery_attempt == 6
