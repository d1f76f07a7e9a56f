"""Push delivery to an HTTP endpoint, and how many pushes are open at once."""

import asyncio
import base64
import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.pubsub import (
    DeadLetterPolicy,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    NotFoundError,
    PushFlow,
    RetryPolicy,
)
from tests.local.pubsub_harness import (
    DEAD,
    SUBSCRIPTION,
    TOPIC,
    always,
    endpoint,
    pubsub_server,
    raw_endpoint,
)

CASES = json.loads(Path(__file__).with_name("pubsub_cases.json").read_text("utf-8"))
RESTING = RetryPolicy(600, 600)
"""So long that a nacked message does not return within a test."""


async def test_the_body_is_like_googles() -> None:
    """A push is a POST of the wrapped message, field for field as Google sends it."""
    async with pubsub_server() as (server, google), endpoint(always(204)) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        response = await google.publisher.publish(
            request={
                "topic": TOPIC,
                "messages": [{"data": b"\x00{}", "attributes": {"a": "é"}}],
            }
        )
        await server.idle()
        time = server.published(TOPIC)[0].publish_time.isoformat(timespec="milliseconds")
        assert pushed.bodies == [
            {
                "message": {
                    "attributes": {"a": "é"},
                    "data": base64.b64encode(b"\x00{}").decode(),
                    "messageId": response.message_ids[0],
                    "message_id": response.message_ids[0],
                    "publishTime": time.replace("+00:00", "Z"),
                    "publish_time": time.replace("+00:00", "Z"),
                },
                "subscription": SUBSCRIPTION,
            }
        ]
        assert pushed.headers[0]["Content-Type"] == "application/json"


async def test_the_body_leaves_out_what_is_empty() -> None:
    """Empty `data` and `attributes` are omitted from a push."""
    async with pubsub_server() as (server, _), endpoint(always(200)) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        server.publish(TOPIC, b"", a="b")
        await server.idle()
        server.publish(TOPIC, b"x")
        await server.idle()
        first, second = (body["message"] for body in pushed.bodies)
        assert "data" not in first
        assert "attributes" not in second


@pytest.mark.parametrize("case", CASES["statuses"], ids=lambda case: str(case["status"]))
async def test_statuses(case: dict[str, Any]) -> None:
    """102, 200, 201, 202 and 204 acknowledge; any other status returns the message."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # Written by hand, because no HTTP server would end its answer with 102.
        length = b"" if case["status"] in (102, 204) else b"Content-Length: 0\r\n"
        writer.write(b"HTTP/1.1 %d Status\r\n%s\r\n" % (case["status"], length))
        await reader.read()  # the connection stays open, so that only the status can be the answer

    ended: asyncio.Queue[int | None] = asyncio.Queue()

    def note(event: Event) -> None:
        if isinstance(event, DeliveryEnded):
            ended.put_nowait(event.status)

    async with raw_endpoint(serve) as url, pubsub_server() as (server, _):
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=url, retry_policy=RESTING)
        server.observe(note)
        server.publish(TOPIC, b"x")
        assert await asyncio.wait_for(ended.get(), 5) == case["status"]
        await server.wait_for(lambda: server.stats(SUBSCRIPTION).outstanding == 0)
        stats = server.stats(SUBSCRIPTION)
        assert (stats.acked, stats.waiting) == ((1, 0) if case["acknowledges"] else (0, 1))


@pytest.mark.parametrize("case", CASES["answers"], ids=lambda case: case["case"])
async def test_only_a_whole_answer_counts(case: dict[str, Any]) -> None:
    """A connection that ends before a complete answer acknowledges nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(case["answer"].encode())

    async with raw_endpoint(serve) as url, pubsub_server() as (server, _):
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=url, retry_policy=RESTING)
        server.publish(TOPIC, b"x")
        await server.wait_for(lambda: server.stats(SUBSCRIPTION).outstanding == 0)
        stats = server.stats(SUBSCRIPTION)
        assert stats.attempts == {"1": 1}
        assert (stats.acked, stats.waiting) == ((1, 0) if case["acknowledges"] else (0, 1))


async def test_a_refused_message_comes_again_at_once() -> None:
    """Without a retry policy a nacked message is pushed again until it is acknowledged."""
    statuses = iter([500, 503, 204])

    async def answer(_body: dict[str, Any]) -> int:
        return next(statuses)

    async with pubsub_server() as (server, google), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        (message_id,) = await google.publish(b"x")
        await server.idle()
        assert server.stats(SUBSCRIPTION).attempts == {message_id: 3}
        assert all("deliveryAttempt" not in body for body in pushed.bodies)


async def test_no_answer_is_a_nack() -> None:
    """Without an answer by the ack deadline, the message is pushed again."""
    silent = True

    async def answer(_body: dict[str, Any]) -> int:
        nonlocal silent
        if silent:
            silent = False
            await asyncio.Event().wait()
        return 204

    async with pubsub_server(ack_deadline=0.2) as (server, google), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        (message_id,) = await google.publish(b"x")
        await server.idle()
        assert server.stats(SUBSCRIPTION).attempts == {message_id: 2}


async def test_an_endpoint_that_is_down_gets_the_message_once_it_is_up() -> None:
    """A message is retried until the endpoint listens."""
    async with pubsub_server() as (server, google):
        async with endpoint(always(204)) as pushed:
            url = pushed.url
        server.create_subscription(
            SUBSCRIPTION, TOPIC, push_endpoint=url, retry_policy=RetryPolicy(0.05, 0.05)
        )
        (message_id,) = await google.publish(b"x")
        await server.wait_for(lambda: server.stats(SUBSCRIPTION).attempts[message_id] >= 2)
        port = urlsplit(url).port or 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

        async with raw_endpoint(serve, port):
            await server.idle()
        assert server.stats(SUBSCRIPTION).acked == 1


async def test_a_kept_connection_that_the_endpoint_closed_is_no_failure() -> None:
    """When a kept connection closes, its request is sent again on a new one."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.read(1)  # the next request, which gets no answer

    async with raw_endpoint(serve) as url, pubsub_server() as (server, google):
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=url)
        for _ in range(2):
            await google.publish(b"x")
            await server.idle()
        assert connections == 2
        assert server.stats(SUBSCRIPTION).attempts == {"1": 1, "2": 1}


async def test_a_poison_message_becomes_a_dead_letter() -> None:
    """Pushes have the attempt in the body; after the last, the message is a dead letter."""

    async def answer(body: dict[str, Any]) -> int:
        return 500 if body["message"]["data"] == base64.b64encode(b"poison").decode() else 204

    async with pubsub_server() as (server, google), endpoint(answer) as pushed:
        policy = DeadLetterPolicy(DEAD, max_delivery_attempts=6)
        server.create_subscription(
            SUBSCRIPTION, TOPIC, push_endpoint=pushed.url, dead_letter_policy=policy
        )
        poison, _ = await google.publish(b"poison", b"good")
        await server.idle()
        attempts = [
            body["deliveryAttempt"]
            for body in pushed.bodies
            if body["message"]["messageId"] == poison
        ]
        assert attempts == [1, 2, 3, 4, 5, 6]
        (dead,) = server.published(DEAD)
        assert dead.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "6"
        stats = server.stats(SUBSCRIPTION)
        assert (stats.acked, stats.dead_lettered) == (1, 1)


async def test_a_deleted_subscription_is_not_pushed() -> None:
    """Deleting a push subscription cuts its open requests and drops its messages."""

    async def answer(_body: dict[str, Any]) -> int:
        await asyncio.Event().wait()
        raise AssertionError

    async with pubsub_server() as (server, google), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        await google.publish(*[b"x"] * 10)
        await pushed.until(lambda: pushed.open == 10)
        await google.subscriber.delete_subscription(subscription=SUBSCRIPTION)
        await pushed.until(lambda: pushed.open == 0)
        with pytest.raises(NotFoundError):
            server.push_window(SUBSCRIPTION)


async def test_a_first_burst_goes_out_at_once() -> None:
    """64 of the messages published at once are pushed before any answer."""
    release = asyncio.Event()

    async def answer(_body: dict[str, Any]) -> int:
        await release.wait()
        return 204

    async with pubsub_server() as (server, google), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        await google.publish(*[b"x"] * 80)
        await pushed.until(lambda: pushed.open == 64)
        stats = server.stats(SUBSCRIPTION)
        assert (stats.outstanding, stats.waiting) == (64, 16)
        release.set()
        await server.idle()


async def test_the_window_grows_to_its_maximum_and_no_further() -> None:
    """After enough acknowledged pushes the maximum is open at once, and never more."""
    holding = False
    release = asyncio.Event()

    async def answer(_body: dict[str, Any]) -> int:
        if holding:
            await release.wait()
        return 204

    async with pubsub_server() as (server, google), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        await google.publish(*[b"x"] * 1000)
        await server.idle()
        assert server.push_window(SUBSCRIPTION) == 1000
        holding = True
        await google.publish(*[b"x"] * 1000)
        await google.publish(*[b"x"] * 50)
        await pushed.until(lambda: pushed.open == 1000)
        assert server.stats(SUBSCRIPTION).waiting == 50
        release.set()
        await server.idle()
        assert pushed.peak == 1000


async def test_the_window_shrinks_under_failure_and_delivery_pauses() -> None:
    """An endpoint that always fails gets one request at a time, then with pauses."""
    starts: list[float] = []
    status = 503

    def note(event: Event) -> None:
        if isinstance(event, DeliveryStarted):
            starts.append(asyncio.get_running_loop().time())

    async def answer(_body: dict[str, Any]) -> int:
        return status

    flow = PushFlow(initial=8, maximum=8, minimum_backoff=0.1, maximum_backoff=0.2)
    async with pubsub_server(push_flow=flow) as (server, google), endpoint(answer) as pushed:
        server.create_subscription(SUBSCRIPTION, TOPIC, push_endpoint=pushed.url)
        server.observe(note)
        await google.publish(*[b"x"] * 8)
        await server.wait_for(lambda: server.push_window(SUBSCRIPTION) == 1)
        count = len(starts)
        await server.wait_for(lambda: len(starts) >= count + 4)
        pauses = [after - before for before, after in itertools.pairwise(starts)]
        assert pauses[-1] >= 0.2
        status = 204
        await server.idle()
        assert server.push_window(SUBSCRIPTION) > 1
