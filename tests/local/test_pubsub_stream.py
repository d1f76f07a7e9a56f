"""StreamingPull, through Google's clients."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1  # type: ignore[import-untyped] # Google ships no types

from tests.local.pubsub_kit import SUBSCRIPTION, TOPIC, Clients, pubsub, run


class _Stream:
    """A stream of the low-level client, fed from a queue."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def send(self, **request: Any) -> None:
        self._requests.put_nowait(request)

    def close(self) -> None:
        self._requests.put_nowait(None)

    async def open(self, google: Clients) -> AsyncIterator[Any]:
        async def requests() -> AsyncIterator[Any]:
            while (request := await self._requests.get()) is not None:
                yield pubsub_v1.types.StreamingPullRequest(request)

        stream = await google.subscriber.streaming_pull(requests=requests(), retry=None, timeout=10)
        return aiter(stream)


def test_a_stream_holds_no_more_than_its_client_asked_for() -> None:
    """A stream sends up to its limit, and each acknowledged message makes room for one more."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            await google.publish(*[b"x"] * 8)
            stream = _Stream()
            stream.send(
                subscription=SUBSCRIPTION,
                stream_ack_deadline_seconds=10,
                max_outstanding_messages=5,
            )
            responses = await stream.open(google)
            first = (await anext(responses)).received_messages
            assert len(first) == 5
            stream.send(ack_ids=[first[0].ack_id, first[1].ack_id])
            await server.wait_for(lambda: server.stats(SUBSCRIPTION).acked == 2)
            second = (await anext(responses)).received_messages
            assert 1 <= len(second) <= 2
            assert server.stats(SUBSCRIPTION).outstanding <= 5
            stream.close()

    run(test())


def test_a_stream_can_hand_messages_back() -> None:
    """A deadline of zero on the stream hands a message back, and the stream gets it again."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            (message_id,) = await google.publish(b"x")
            stream = _Stream()
            stream.send(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10)
            responses = await stream.open(google)
            (first,) = (await anext(responses)).received_messages
            stream.send(modify_deadline_ack_ids=[first.ack_id], modify_deadline_seconds=[0])
            (second,) = (await anext(responses)).received_messages
            assert second.message.message_id == message_id
            assert server.stats(SUBSCRIPTION).attempts == {message_id: 2}
            stream.close()

    run(test())


@pytest.mark.parametrize("limit", [0, 1], ids=["waits for messages", "is full"])
def test_a_stream_ends_with_its_subscription(limit: int) -> None:
    """Deleting the subscription ends its streams with NOT_FOUND, whatever they wait for."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            await google.publish(b"x")
            stream = _Stream()
            stream.send(
                subscription=SUBSCRIPTION,
                stream_ack_deadline_seconds=10,
                max_outstanding_messages=limit,
            )
            responses = await stream.open(google)
            await anext(responses)
            await google.subscriber.delete_subscription(subscription=SUBSCRIPTION)
            with pytest.raises((exceptions.NotFound, grpc.aio.AioRpcError), match="was deleted"):
                await anext(responses)

    run(test())


def test_the_high_level_client_streams() -> None:
    """Google's high-level clients, led by PUBSUB_EMULATOR_HOST, publish and stream."""

    def stream(host: str) -> list[bytes]:
        received: list[bytes] = []
        with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": host}):
            publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        with subscriber:
            refused = False

            def callback(message: pubsub_v1.subscriber.message.Message) -> None:
                nonlocal refused
                if not refused:
                    refused = True
                    message.nack()
                    return
                received.append(message.data)
                message.ack_with_response().result(5)
                if len(received) == 20:
                    pulling.cancel()

            pulling = subscriber.subscribe(
                SUBSCRIPTION,
                callback,
                flow_control=pubsub_v1.types.FlowControl(max_messages=5),
            )
            for n in range(20):
                publisher.publish(TOPIC, b"%d" % n).result(5)
            pulling.result(10)
        publisher.stop()
        publisher.transport.close()
        return received

    async def test() -> None:
        async with pubsub() as (server, _):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            received = await asyncio.to_thread(stream, server.host)
            assert sorted(received) == sorted(b"%d" % n for n in range(20))
            await server.idle(SUBSCRIPTION)
            assert server.stats(SUBSCRIPTION).acked == 20

    run(test())
