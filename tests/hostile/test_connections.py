"""Connections that are slow, silent, many or gone: everybody else is served meanwhile."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack

import aiohttp

from tests.hostile.conftest import memory_bytes
from tests.hostile.mouths import Mouth
from tests.hostile.wire import request, statuses, wire
from tests.webhooks import send

SLOW_SENDERS, SILENT = 60, 200
PADDING = "x" * 200_000
# What a function of 512 MB can spare, beside what slow senders have sent.
SPARE_BYTES = 60_000_000


async def serves(mouth: Mouth, http: aiohttp.ClientSession, times: int = 20) -> None:
    """Requests that are right are answered, and arrive."""
    for _ in range(times):
        event_id, body, headers = mouth.good()
        named = dict(line.split(": ") for line in headers.strip().split("\r\n"))
        assert (await send(http, mouth.function.url, body, **named)).status == mouth.taken
        assert mouth.has(event_id)


async def test_slow_senders(mouth: Mouth, http: aiohttp.ClientSession) -> None:
    """Who stops in the middle of a body keeps nobody waiting; only what is ended is stored.

    Each holds what it has sent, and no more: how long it may is the platform's request timeout.
    """
    await serves(mouth, http)
    before = memory_bytes(mouth.function)
    async with AsyncExitStack() as connections:
        slow = []
        for _ in range(SLOW_SENDERS):
            event_id, body, headers = mouth.good(padding=PADDING)
            data = request(body, headers + "Connection: close\r\n")
            connection = await connections.enter_async_context(wire(mouth.function))
            await connection.send(data[: len(data) // 2])
            slow.append((event_id, connection, data[len(data) // 2 :]))

        await serves(mouth, http)
        assert memory_bytes(mouth.function) - before < SLOW_SENDERS * len(PADDING) + SPARE_BYTES
        assert not any(mouth.has(event_id) for event_id, _, _ in slow)
        ended, cut = slow[: SLOW_SENDERS // 2], slow[SLOW_SENDERS // 2 :]
        for _, connection, rest in ended:
            await connection.send(rest)
        for event_id, connection, _ in ended:
            assert statuses(await connection.rest()) == [mouth.taken]
            assert mouth.has(event_id)

    await serves(mouth, http)
    assert not any(mouth.has(event_id) for event_id, _, _ in cut)


async def test_those_who_say_nothing(mouth: Mouth, http: aiohttp.ClientSession) -> None:
    """Many connections without a word, or with half a header, are no reason not to answer."""
    async with AsyncExitStack() as connections:
        for number in range(SILENT):
            connection = await connections.enter_async_context(wire(mouth.function))
            await connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-Ha"[: number % 2 * 99])
        await serves(mouth, http)


async def test_requests_before_their_answers(mouth: Mouth) -> None:
    """Fifty requests in one write are each answered, in their order, and all arrive."""
    good = [mouth.good() for _ in range(50)]
    data = [request(body, headers) for _, body, headers in good]
    _, body, headers = good[-1]
    data[-1] = request(body, headers + "Connection: close\r\n")
    async with wire(mouth.function) as connection:
        await connection.send(b"".join(data))
        answered = await connection.rest()
    assert statuses(answered) == [mouth.taken] * len(good)
    ids = [event_id for event_id, _, _ in good]
    assert all(mouth.has(event_id) for event_id in ids)
    if mouth.taken == 200:
        assert re.findall(r'"id":"(\w+)"', answered.decode()) == ids


async def test_those_who_do_not_wait(mouth: Mouth, http: aiohttp.ClientSession) -> None:
    """Who hangs up before the answer breaks nothing: no error of ours, and the next is answered."""
    for _ in range(50):
        _, body, headers = mouth.good()
        async with wire(mouth.function) as connection:
            await connection.send(request(body, headers))
    await serves(mouth, http)
    assert "Traceback" not in mouth.function.text
