"""The load generator: every request is sent and answered once, and a bad answer is an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson
import pytest

from benchmarks.comparisons import BODY_BYTES
from benchmarks.load import LoadFailed, send, webhook
from local.functions import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REQUEST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
"""Takes the number of the request, from 0, and where to write its answer."""


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[int]:
    """Serves requests without a body, and yields the port."""
    seen = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while not writer.is_closing():
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            number, seen = seen, seen + 1
            await handler(number, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_every_request_is_answered_over_so_many_connections() -> None:
    """As many requests are in flight as there are connections, and each has a latency."""
    in_flight, most = 0, 0
    all_there = asyncio.Event()

    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        if in_flight == 4:
            all_there.set()
        await all_there.wait()
        in_flight -= 1
        writer.write(OK[:20])  # an answer may come in pieces
        await writer.drain()
        writer.write(OK[20:])

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 40, connections=4)

    assert most == 4
    assert len(burst.latencies) == 40
    assert all(0 < latency <= burst.seconds for latency in burst.latencies)
    burst.raise_for_errors()


async def test_a_refusal_is_an_error() -> None:
    """An answer other than 2xx fails the burst, and the message shows it."""

    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" if number == 1 else OK)

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 3, connections=1)

    with pytest.raises(LoadFailed, match=r"1 requests were not answered 2xx.* 503 Busy"):
        burst.raise_for_errors()


async def test_a_request_on_an_idle_connection_is_sent_again() -> None:
    """A server that closes after each answer costs connections, but no request."""

    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 5, connections=1)

    assert (len(burst.latencies), burst.reconnects) == (5, 4)
    burst.raise_for_errors()


async def test_a_request_that_is_cut_off_is_an_error() -> None:
    """A first request on a connection that breaks is not sent again: the server may have it."""

    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve(handle) as port:
        burst = await send(port, [REQUEST], connections=1)

    with pytest.raises(LoadFailed, match="the connection broke"):
        burst.raise_for_errors()
    with pytest.raises(LoadFailed, match="0 of 1 requests are answered"):  # nothing listens
        await send(free_port(), [REQUEST], connections=1)


@pytest.mark.parametrize("size", [*BODY_BYTES, 1200])
def test_a_webhook_has_the_size_asked_for(size: int) -> None:
    """A body has exactly so many bytes, and is an NPS webhook with an id of its own."""
    one, another = webhook(size), webhook(size)
    assert len(one) == len(another) == size
    assert orjson.loads(one)["event"] == "npsSubmitted"
    assert orjson.loads(one)["uniqueId"] != orjson.loads(another)["uniqueId"]
