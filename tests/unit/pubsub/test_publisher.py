"""What `Publisher` makes of Pub/Sub's refusals: a message's fault, or a wrong setting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from local.pubsub import PubSubServer, rejecting
from local.tcp_proxy import TcpProxy
from pendo_aep.pubsub import PublishFailed, PublishRejected
from pendo_aep.pubsub.client import connect, pubsub_connection
from pendo_aep.pubsub.publisher import Publisher

TOPIC = "projects/p/topics/events"
# Google's words (googleapis/google-cloud-go#8179; snowplow/enrich#485).
SCHEMA = "Invalid data in message: Message failed schema validation."
TOO_LONG = (
    'The attribute "app_id" in the request has a value that is too long. The length is 1043 '
    "characters, but the maximum allowed is 1024. Refer to https://cloud.google.com/pubsub/quotas "
    "for more information."
)


@pytest.fixture
async def pubsub() -> AsyncIterator[PubSubServer]:
    """A Pub/Sub server of this test's own, with one topic."""
    async with PubSubServer() as running:
        running.create_topic(TOPIC)
        yield running


async def publish(
    pubsub: PubSubServer, *messages: bytes, topic: str = TOPIC
) -> list[str | BaseException]:
    """What becomes of each of these messages, which are published in one group."""
    async with grpc.aio.insecure_channel(pubsub.host) as channel:
        publisher = Publisher(topic, pubsub_connection(lambda: channel))
        return await asyncio.gather(
            *(publisher.publish(message, {}) for message in messages), return_exceptions=True
        )


def kinds(results: list[str | BaseException]) -> list[type]:
    """Their types."""
    return [type(result) for result in results]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_wrong_topic_name_fails_every_message(pubsub: PubSubServer, count: int) -> None:
    """What Pub/Sub says of the topic's name is no fault of a message, not even of a lone one."""
    results = await publish(pubsub, *[b"event"] * count, topic="projects/p/topics/my events!")
    assert kinds(results) == [PublishFailed] * count
    assert {str(result) for result in results} == {"INVALID_ARGUMENT"}


async def test_a_lone_refused_message_is_at_fault(pubsub: PubSubServer) -> None:
    """What Pub/Sub says of a message is a reason to quarantine it."""
    pubsub.faults.add(rejecting(lambda data, _attributes: data == b"bad", TOO_LONG))
    (result,) = await publish(pubsub, b"bad")
    assert isinstance(result, PublishRejected)
    assert str(result) == TOO_LONG


async def test_a_lone_message_that_does_not_fit_the_topics_schema_fails(
    pubsub: PubSubServer,
) -> None:
    """A schema on the topic is a setting: `deploy` gives it none, and every event would not fit."""
    pubsub.faults.add(rejecting(lambda _data, _attributes: True, SCHEMA))
    assert kinds(await publish(pubsub, b"event")) == [PublishFailed]


@pytest.mark.parametrize("count", [2, 3, 10, 17])
async def test_a_group_that_is_refused_whole_fails(pubsub: PubSubServer, count: int) -> None:
    """If each of several messages is refused, none of them is at fault."""
    pubsub.faults.add(rejecting(lambda _data, _attributes: True))
    assert kinds(await publish(pubsub, *[b"event"] * count)) == [PublishFailed] * count


async def test_refused_messages_among_good_ones_are_at_fault(pubsub: PubSubServer) -> None:
    """Exactly those that are refused fail, though they are most of the group."""
    pubsub.faults.add(rejecting(lambda data, _attributes: data == b"bad", SCHEMA))
    results = await publish(pubsub, b"bad", b"bad", b"bad", b"good", b"bad", b"bad")
    assert kinds(results) == [PublishRejected] * 3 + [str] + [PublishRejected] * 2
    assert [message.data for message in pubsub.published(TOPIC)] == [b"good"]


async def test_a_large_group_that_is_refused_whole_costs_few_calls(pubsub: PubSubServer) -> None:
    """It takes some thirty calls, not two for each of a thousand messages."""
    calls = 0

    def refuse(_data: bytes, _attributes: object) -> bool:
        nonlocal calls
        calls += 1
        return True

    pubsub.faults.add(rejecting(refuse))
    assert kinds(await publish(pubsub, *[b"event"] * 1000)) == [PublishFailed] * 1000
    assert calls < 50


async def test_a_replaced_channel_is_closed(
    pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays behind of a channel that went silent."""
    opened: list[grpc.aio.Channel] = []

    def open_channel() -> grpc.aio.Channel:
        opened.append(connect())
        return opened[-1]

    async with TcpProxy(pubsub.host) as proxy:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", proxy.host)
        publisher = Publisher(TOPIC, pubsub_connection(open_channel))
        await publisher.publish(b"1", {})
        proxy.silence()
        await publisher.publish(b"2", {})
        states = [channel.get_state() for channel in opened]
        await opened[-1].close()
    assert states == [grpc.ChannelConnectivity.SHUTDOWN, grpc.ChannelConnectivity.READY]
