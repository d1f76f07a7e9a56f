"""The load generator: every request is answered once, and what is not answered well is told."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.load import LoadFailed, send
from local.functions import free_port
from tests.benchmarks.scripted_server import OK, answer, serve

REQUEST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def test_every_request_is_answered_over_so_many_connections() -> None:
    """As many requests are under way as there are connections, and each has a latency."""
    under_way, most = 0, 0
    all_there = asyncio.Event()

    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 4:
            all_there.set()
        await all_there.wait()
        under_way -= 1
        await answer(number, writer)

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 40, connections=4)

    assert most == 4
    assert len(burst.latencies) == 40
    assert all(0 < latency <= burst.seconds for latency in burst.latencies)
    burst.raise_for_errors()


async def test_an_answer_may_come_in_pieces() -> None:
    """What comes in two writes is one answer."""

    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:20])
        await writer.drain()
        writer.write(OK[20:])

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 3, connections=1)

    assert len(burst.latencies) == 3
    burst.raise_for_errors()


async def test_a_refusal_is_an_error() -> None:
    """An answer other than 2xx fails the burst, and the message shows it."""

    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        else:
            await answer(number, writer)

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 3, connections=1)

    with pytest.raises(LoadFailed, match=r"1 requests were not answered 2xx.* 503 Busy"):
        burst.raise_for_errors()


async def test_a_request_on_a_connection_that_was_idle_is_sent_again() -> None:
    """A server that closes after each answer costs connections, but no request."""

    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        await answer(number, writer)
        await writer.drain()
        writer.close()

    async with serve(handle) as port:
        burst = await send(port, [REQUEST] * 5, connections=1)

    assert len(burst.latencies) == 5
    assert burst.reconnects == 4
    burst.raise_for_errors()


async def test_a_request_that_is_cut_off_is_an_error() -> None:
    """A first request on a connection that breaks is not sent again: the server may have it."""

    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve(handle) as port:
        burst = await send(port, [REQUEST], connections=1)

    with pytest.raises(LoadFailed, match="the connection broke"):
        burst.raise_for_errors()


async def test_nobody_listens() -> None:
    """A port that nobody listens on fails at once."""
    with pytest.raises(LoadFailed, match="0 of 1 requests are answered"):
        await send(free_port(), [REQUEST], connections=1)
