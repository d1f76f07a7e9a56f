"""Faults on demand, as Google's clients see them."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import StreamingPullRequest

from tests.local.pubsub_kit import SUBSCRIPTION, TOPIC, pubsub, run


def test_a_call_fails_as_often_as_asked() -> None:
    """The next two calls fail with the given status, and the third is served."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.fail("Publish", grpc.StatusCode.UNAVAILABLE, times=2)
            for _ in range(2):
                with pytest.raises(exceptions.ServiceUnavailable):
                    await google.publish(b"lost")
            await google.publish(b"kept")
            assert [message.data for message in server.published(TOPIC)] == [b"kept"]

    run(test())


def test_a_fault_befalls_only_its_rpc() -> None:
    """Another RPC than the one named is served as ever, and faults end when they are cleared."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.faults.fail("Pull", grpc.StatusCode.INTERNAL, times=None)
            await google.publish(b"x")
            for _ in range(3):
                with pytest.raises(exceptions.InternalServerError):
                    await google.pull()
            server.faults.clear()
            assert len(await google.pull()) == 1

    run(test())


def test_faults_are_used_up_in_order() -> None:
    """Different faults for one RPC befall its calls in the order in which they were added."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.fail("Publish", grpc.StatusCode.UNAVAILABLE)
            server.faults.fail("Publish", grpc.StatusCode.RESOURCE_EXHAUSTED)
            with pytest.raises(exceptions.ServiceUnavailable):
                await google.publish(b"x")
            with pytest.raises(exceptions.ResourceExhausted):
                await google.publish(b"x")
            await google.publish(b"x")

    run(test())


def test_a_call_can_be_stored_and_fail() -> None:
    """A publish that fails afterwards is stored, so that its retry makes a second message."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.fail("Publish", grpc.StatusCode.DEADLINE_EXCEEDED, after=True)
            with pytest.raises(exceptions.DeadlineExceeded):
                await google.publish(b"x")
            await google.publish(b"x")
            assert [message.data for message in server.published(TOPIC)] == [b"x", b"x"]

    run(test())


def test_googles_own_retry_gets_over_an_outage() -> None:
    """The client's default retry turns a short outage into a single stored message."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.fail("Publish", grpc.StatusCode.UNAVAILABLE, times=2)
            await google.publisher.publish(request={"topic": TOPIC, "messages": [{"data": b"x"}]})
            assert len(server.published(TOPIC)) == 1

    run(test())


@pytest.mark.parametrize(("after", "stored"), [(False, 0), (True, 1)])
def test_a_call_can_hang(after: bool, stored: int) -> None:
    """A call that hangs ends when its client gives up, before or after it took effect."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.hang("Publish", after=after)
            with pytest.raises(exceptions.DeadlineExceeded):
                await google.publisher.publish(
                    request={"topic": TOPIC, "messages": [{"data": b"x"}]},
                    retry=None,
                    timeout=0.2,
                )
            assert len(server.published(TOPIC)) == stored

    run(test())


def test_a_call_can_be_delayed() -> None:
    """A delayed call takes effect when its delay is over, and succeeds."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.delay("Publish", 0.2)
            start = asyncio.get_running_loop().time()
            publishing = asyncio.create_task(google.publish(b"x"))
            await server.wait_for(lambda: len(server.published(TOPIC)) == 1)
            assert asyncio.get_running_loop().time() - start >= 0.2
            assert await publishing == ["1"]

    run(test())


def test_one_message_can_be_refused() -> None:
    """A publish that holds a message which is refused fails whole; without it, it succeeds."""

    async def test() -> None:
        async with pubsub() as (server, google):
            server.faults.refuse(lambda data, _attributes: data == b"bad")
            with pytest.raises(exceptions.InvalidArgument):
                await google.publish(b"good", b"bad")
            assert not server.published(TOPIC)
            await google.publish(b"good")
            assert len(server.published(TOPIC)) == 1

    run(test())


def test_one_topic_can_be_closed() -> None:
    """A closed topic takes nothing; another topic and its subscription work as before."""
    other = TOPIC + "-other"

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_topic(other)
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.faults.close_topic(other, grpc.StatusCode.PERMISSION_DENIED)
            request = {"topic": other, "messages": [{"data": b"x"}]}
            with pytest.raises(exceptions.PermissionDenied):
                await google.publisher.publish(request=request, retry=None)
            await google.publish(b"x")
            assert len(await google.pull()) == 1
            server.faults.open_topic(other)
            await google.publisher.publish(request=request, retry=None)
            assert len(server.published(other)) == 1

    run(test())


def test_a_stream_can_fail_to_open() -> None:
    """A fault for StreamingPull befalls the opening of the stream."""

    async def requests() -> AsyncIterator[StreamingPullRequest]:
        yield StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10)

    async def test() -> None:
        async with pubsub() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.faults.fail("StreamingPull", grpc.StatusCode.UNAVAILABLE)
            stream = await google.subscriber.streaming_pull(requests=requests(), retry=None)
            with pytest.raises((exceptions.ServiceUnavailable, grpc.aio.AioRpcError)):
                await anext(aiter(stream))

    run(test())


def test_shutdown_ends_what_hangs() -> None:
    """A server that stops while a call hangs ends the call and leaves no task."""

    async def test() -> None:
        before = asyncio.all_tasks()
        async with pubsub() as (server, google):
            server.faults.hang("Publish", after=True)
            publishing = asyncio.create_task(google.publish(b"x"))
            await server.wait_for(lambda: len(server.published(TOPIC)) == 1)
            stopping = asyncio.create_task(server.__aexit__(None, None, None))
            with pytest.raises((exceptions.ServiceUnavailable, exceptions.Cancelled)):
                await publishing
            await stopping
        assert asyncio.all_tasks() == before

    run(test())
