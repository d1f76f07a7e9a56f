"""Malformed requests, and connections that are slow, silent, many or closed early."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.cases import Case, cases
from tests.hostile.hostile_clients import Target, connect, memory_bytes, statuses

pytestmark = pytest.mark.process

SLOW_SENDERS, SILENT = 60, 200
PADDING = "x" * 200_000
# What a function of 512 MB can spare, beside what slow senders have sent.
SPARE_BYTES = 60_000_000


@pytest.mark.parametrize("case", cases("hostile/requests"))
async def test_a_request_is_accepted_whole_or_not_at_all(
    target: Target, http: aiohttp.ClientSession, case: Case
) -> None:
    """A request is forwarded exactly if it is answered with success; the next one is answered."""
    valid = target.valid_request()
    allowed = case["answers"] if isinstance(case["answers"], list) else [case["answers"]]
    allowed = [target.success if status == "taken" else status for status in allowed]

    async with connect(target.function) as connection:
        await connection.send(valid.raw("Connection: close\r\n", case))
        if not allowed:  # more was promised, and is never sent
            connection.end()
        answered = await connection.rest()

    final = [status for status in statuses(answered) if status != 100]
    assert final[0] in allowed if allowed else not final, answered[:300]
    assert target.has_forwarded(valid.event_id) is (final[:1] == [target.success])
    assert not target.is_dead_letter(valid.event_id)
    await target.serves(http, times=1)


async def test_slow_senders(target: Target, http: aiohttp.ClientSession) -> None:
    """Senders that stop within a body delay nobody, and only complete requests are stored.

    Each holds what it has sent, and no more; the platform's request timeout limits how long.
    """
    await target.serves(http)
    before = memory_bytes(target.function)
    async with AsyncExitStack() as connections:
        slow = []
        for _ in range(SLOW_SENDERS):
            valid = target.valid_request(padding=PADDING)
            data = valid.raw("Connection: close\r\n")
            connection = await connections.enter_async_context(connect(target.function))
            await connection.send(data[: len(data) // 2])
            slow.append((valid.event_id, connection, data[len(data) // 2 :]))

        await target.serves(http)
        assert memory_bytes(target.function) - before < SLOW_SENDERS * len(PADDING) + SPARE_BYTES
        assert not any(target.has_forwarded(event_id) for event_id, _, _ in slow)
        ended, cut = slow[: SLOW_SENDERS // 2], slow[SLOW_SENDERS // 2 :]
        for _, connection, rest in ended:
            await connection.send(rest)
        for event_id, connection, _ in ended:
            assert statuses(await connection.rest()) == [target.success]
            assert target.has_forwarded(event_id)

    await target.serves(http)
    assert not any(target.has_forwarded(event_id) for event_id, _, _ in cut)


async def test_silent_connections(target: Target, http: aiohttp.ClientSession) -> None:
    """Many connections that send nothing, or half a header, do not keep others from an answer."""
    async with AsyncExitStack() as connections:
        for number in range(SILENT):
            connection = await connections.enter_async_context(connect(target.function))
            await connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-Ha"[: number % 2 * 99])
        await target.serves(http)


async def test_pipelined_requests(target: Target) -> None:
    """Fifty requests in one write are each answered, in order, and all are forwarded."""
    valid = [target.valid_request() for _ in range(50)]
    data = [one.raw() for one in valid[:-1]] + [valid[-1].raw("Connection: close\r\n")]
    async with connect(target.function) as connection:
        await connection.send(b"".join(data))
        answered = await connection.rest()
    assert statuses(answered) == [target.success] * len(valid)
    ids = [one.event_id for one in valid]
    assert all(target.has_forwarded(event_id) for event_id in ids)
    if target.success == 200:
        assert re.findall(r'"id":"(\w+)"', answered.decode()) == ids


async def test_clients_that_hang_up(target: Target, http: aiohttp.ClientSession) -> None:
    """A client that closes before the answer causes no error, and the next one is answered."""
    for _ in range(50):
        async with connect(target.function) as connection:
            await connection.send(target.valid_request().raw())
    await target.serves(http)
    assert "Traceback" not in target.function.text
