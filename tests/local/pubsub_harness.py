"""Google's clients and push endpoints for the Pub/Sub tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from aiohttp import web
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from local.pubsub import PubSubServer
from local.pubsub.timers import Signal

TOPIC = "projects/p/topics/events"
DEAD = "projects/p/topics/events-dead"
SUBSCRIPTION = "projects/p/subscriptions/events-out"
DEAD_SUBSCRIPTION = "projects/p/subscriptions/events-dead-out"


@dataclass(frozen=True, slots=True)
class Clients:
    """Google's clients on one channel."""

    publisher: PublisherAsyncClient
    subscriber: SubscriberAsyncClient
    channel: grpc.aio.Channel

    async def publish(self, *data: bytes, topic: str = TOPIC) -> list[str]:
        """Publish messages in one request; return their ids."""
        response = await self.publisher.publish(
            request={"topic": topic, "messages": [{"data": one} for one in data]},
            retry=None,
            timeout=15,
        )
        return list(response.message_ids)

    async def pull(self, limit: int = 100, subscription: str = SUBSCRIPTION) -> list[Any]:
        """Pull once."""
        response = await self.subscriber.pull(
            subscription=subscription, max_messages=limit, retry=None, timeout=15
        )
        return list(response.received_messages)


@asynccontextmanager
async def clients(host: str) -> AsyncIterator[Clients]:
    """Connects Google's asynchronous clients to a server."""
    async with grpc.aio.insecure_channel(
        host, options=[("grpc.max_receive_message_length", -1)]
    ) as channel:
        yield Clients(
            PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel)),
            SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel)),
            channel,
        )


@asynccontextmanager
async def pubsub_server(**options: Any) -> AsyncIterator[tuple[PubSubServer, Clients]]:
    """Runs a server with two topics, for a minute at most, and clients."""
    async with (
        asyncio.timeout(60),
        PubSubServer(**options) as server,
        clients(server.host) as connected,
    ):
        server.create_topic(TOPIC)
        server.create_topic(DEAD)
        yield server, connected


Answer = Callable[[dict[str, Any]], Awaitable[int]]


@dataclass(slots=True)
class Endpoint:
    """What a push endpoint has received."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open: int = 0
    peak: int = 0
    changed: Signal = field(default_factory=Signal)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on what was pushed holds."""
        await self.changed.wait_for(condition, 10)


@asynccontextmanager
async def endpoint(answer: Answer) -> AsyncIterator[Endpoint]:
    """Runs an HTTP server that answers each push with the status `answer(body)`."""
    state = Endpoint()

    async def handle(request: web.Request) -> web.Response:
        body = await request.json()
        state.bodies.append(body)
        state.headers.append(dict(request.headers))
        state.open += 1
        state.peak = max(state.peak, state.open)
        state.changed.notify()
        try:
            return web.Response(status=await answer(body))
        finally:
            state.open -= 1
            state.changed.notify()

    app = web.Application()
    app.router.add_post("/push", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        state.url = f"http://127.0.0.1:{runner.addresses[0][1]}/push"
        yield state
    finally:
        await runner.cleanup()


def always(status: int) -> Answer:
    """Returns an answer that is always the same."""

    async def answer(_body: dict[str, Any]) -> int:
        return status

    return answer


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_endpoint(serve: Serve, port: int = 0) -> AsyncIterator[str]:
    """Runs an endpoint that handles connections itself, for what no HTTP server would do."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", port) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
