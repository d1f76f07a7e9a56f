"""Faults on demand, as Google's clients see them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import uvloop
from google.api_core import exceptions
from google.pubsub_v1.types import StreamingPullRequest

from local.pubsub import (
    Acked,
    DeadLettered,
    DeadLetterPolicy,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    InvalidArgumentError,
    Nacked,
    NotFoundError,
    Published,
    PushFlow,
    RetryPolicy,
    closed_topic,
    delayed,
    failing,
    hanging,
    rejecting,
)
from local.pubsub.push import PushWindow
from local.pubsub.timers import Timetable
from tests.local.pubsub_harness import DEAD, SUBSCRIPTION, TOPIC, endpoint, pubsub_server, run


def test_a_call_fails_as_often_as_asked() -> None:
    """The next two calls fail with the given status, and the third is served."""

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE).times(2))
            for _ in range(2):
                with pytest.raises(exceptions.ServiceUnavailable):
                    await google.publish(b"lost")
            await google.publish(b"kept")
            assert [message.data for message in server.published(TOPIC)] == [b"kept"]

    run(test())


def test_a_fault_befalls_only_its_rpc() -> None:
    """Another RPC than the one named is served as ever, and faults end when they are cleared."""

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.faults.add(failing("Pull", grpc.StatusCode.INTERNAL))
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
        async with pubsub_server() as (server, google):
            server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE).times(1))
            server.faults.add(failing("Publish", grpc.StatusCode.RESOURCE_EXHAUSTED).times(1))
            with pytest.raises(exceptions.ServiceUnavailable):
                await google.publish(b"x")
            with pytest.raises(exceptions.ResourceExhausted):
                await google.publish(b"x")
            await google.publish(b"x")

    run(test())


def test_a_call_can_be_stored_and_fail() -> None:
    """A publish that fails afterwards is stored, so that its retry makes a second message."""

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.faults.add(
                failing("Publish", grpc.StatusCode.DEADLINE_EXCEEDED, after=True).times(1)
            )
            with pytest.raises(exceptions.DeadlineExceeded):
                await google.publish(b"x")
            await google.publish(b"x")
            assert [message.data for message in server.published(TOPIC)] == [b"x", b"x"]

    run(test())


def test_googles_own_retry_gets_over_an_outage() -> None:
    """The client's default retry turns a short outage into a single stored message."""

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE).times(2))
            await google.publisher.publish(request={"topic": TOPIC, "messages": [{"data": b"x"}]})
            assert len(server.published(TOPIC)) == 1

    run(test())


@pytest.mark.parametrize(("after", "stored"), [(False, 0), (True, 1)])
def test_a_call_can_hang(after: bool, stored: int) -> None:
    """A call that hangs ends when its client gives up, before or after it took effect."""

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.faults.add(hanging("Publish", after=after).times(1))
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
        async with pubsub_server() as (server, google):
            server.faults.add(delayed("Publish", 0.2).times(1))
            start = asyncio.get_running_loop().time()
            publishing = asyncio.create_task(google.publish(b"x"))
            await server.wait_for(lambda: len(server.published(TOPIC)) == 1)
            assert asyncio.get_running_loop().time() - start >= 0.2
            assert await publishing == ["1"]

    run(test())


def test_one_message_can_be_refused() -> None:
    """A publish that holds a message which is refused fails whole; without it, it succeeds."""

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.faults.add(rejecting(lambda data, _attributes: data == b"bad"))
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

    run(test())


def test_a_stream_can_fail_to_open() -> None:
    """A fault for StreamingPull befalls the opening of the stream."""

    async def requests() -> AsyncIterator[StreamingPullRequest]:
        yield StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10)

    async def test() -> None:
        async with pubsub_server() as (server, google):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.faults.add(failing("StreamingPull", grpc.StatusCode.UNAVAILABLE).times(1))
            stream = await google.subscriber.streaming_pull(requests=requests(), retry=None)
            with pytest.raises((exceptions.ServiceUnavailable, grpc.aio.AioRpcError)):
                await anext(aiter(stream))

    run(test())


def test_shutdown_ends_what_hangs() -> None:
    """A server that stops while a call hangs ends the call and leaves no task."""

    async def test() -> None:
        before = asyncio.all_tasks()
        async with pubsub_server() as (server, google):
            server.faults.add(hanging("Publish", after=True).times(1))
            publishing = asyncio.create_task(google.publish(b"x"))
            await server.wait_for(lambda: len(server.published(TOPIC)) == 1)
            stopping = asyncio.create_task(server.__aexit__(None, None, None))
            with pytest.raises((exceptions.ServiceUnavailable, exceptions.Cancelled)):
                await publishing
            await stopping
        assert asyncio.all_tasks() == before

    run(test())


# Following the server: events, conditions, and the parts that need no network.


def test_events_tell_a_messages_life() -> None:
    """An observer hears of every step of a push in order: refused first, then acknowledged."""

    async def test() -> None:
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

    run(test())


def test_events_tell_of_expiry_and_dead_letters() -> None:
    """A lease that runs out is told as such, and so is the way into the dead-letter topic."""

    async def test() -> None:
        events: list[Event] = []
        async with pubsub_server(ack_deadline=0.05, pull_wait=5) as (server, google):
            server.create_subscription(
                SUBSCRIPTION, TOPIC, dead_letter_policy=DeadLetterPolicy(DEAD)
            )
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

    run(test())


def test_waiting_has_an_end() -> None:
    """Waiting for what does not come ends with TimeoutError; an unknown name fails at once."""

    async def test() -> None:
        async with pubsub_server() as (server, _):
            server.create_subscription(SUBSCRIPTION, TOPIC)
            server.publish(TOPIC, b"x")
            await server.idle()  # nobody pulls, and there is no push subscription
            with pytest.raises(TimeoutError):
                await server.idle(SUBSCRIPTION, within=0.05)
            with pytest.raises(NotFoundError):
                await server.idle(f"{SUBSCRIPTION}-2")

    run(test())


def test_the_window_halves_once_for_each_round() -> None:
    """Failures of requests that were open together shrink the window once, later ones again."""
    window = PushWindow(PushFlow(initial=8, maximum=10))
    first = window.epoch
    assert [window.failed(first) for _ in range(8)] == [0.0] * 8
    assert window.size == 4
    window.failed(window.epoch)
    assert window.size == 2
    for _ in range(20):
        window.succeeded()
    assert window.size == 10


def test_pauses_double_until_a_success() -> None:
    """At a window of one, each failure pauses for twice as long, up to the maximum."""
    window = PushWindow(PushFlow(initial=1, minimum_backoff=0.1, maximum_backoff=0.5))
    assert [window.failed(window.epoch) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    window.succeeded()
    assert window.failed(window.epoch) == 0.0
    assert window.failed(window.epoch) == 0.1


def test_backoff_knows_no_overflow() -> None:
    """A message that has failed thousands of times still rests for the maximum."""
    assert RetryPolicy(0.1, 600).backoff(100_000) == 600
    with pytest.raises(InvalidArgumentError):
        RetryPolicy(20, 10)


def test_the_timetable_keeps_order_and_forgets_the_dead() -> None:
    """Items fall due in the order of their times, and those no longer live are swept out."""

    async def test() -> None:
        done = asyncio.Event()
        due: list[int] = []
        live = {1, 2, 3}

        def note(item: int) -> None:
            due.append(item)
            if item == 3:
                done.set()

        timetable: Timetable[int] = Timetable(note, lambda _when, item: item in live)
        now = asyncio.get_running_loop().time()
        for n in range(10_000):
            timetable.add(now + 600, 1_000 + n)
            assert len(timetable) <= 1_004
        for item in (3, 1, 2):
            timetable.add(now + item / 100, item)
        await asyncio.wait_for(done.wait(), 5)
        assert due == [1, 2, 3]
        timetable.close()
        assert len(timetable) == 0

    run(test())


def test_the_timetable_runs_on_uvloop() -> None:
    """What was due a moment ago does not keep a timetable on uvloop from taking more."""

    async def test() -> None:
        due: asyncio.Queue[int] = asyncio.Queue()
        timetable: Timetable[int] = Timetable(due.put_nowait, lambda _when, _item: True)
        past = asyncio.get_running_loop().time() - 1
        for item in (1, 2):
            timetable.add(past, item)
        async with asyncio.timeout(30):
            assert [await due.get(), await due.get()] == [1, 2]

    uvloop.run(test())
