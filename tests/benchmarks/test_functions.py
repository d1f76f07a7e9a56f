"""The functions that are compared, over HTTP: each does the work that it is measured for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiohttp
import psutil
import pytest

from benchmarks.breakdown import OF_DELIVER, OF_RECEIVE
from benchmarks.functions import (
    DELIVER,
    NOOP_DELIVER,
    NOOP_RECEIVE,
    QUICKSTART_DELIVER,
    QUICKSTART_RECEIVE,
    RECEIVE,
    MeasuredFunction,
    alternate,
    cpu_seconds_of,
)
from benchmarks.load import push_request, webhook_request
from benchmarks.servers import Servers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    """Pub/Sub and AEP, which each function has to itself for as long as it runs."""
    async with Servers() as running:
        yield running


async def post(function: MeasuredFunction, request: bytes) -> tuple[int, int]:
    """Sends a request and returns the status and the length of the answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{function.port}/", data=body, headers=headers) as answer,
    ):
        return answer.status, len(await answer.read())


async def test_each_function_accepts_a_webhook(servers: Servers) -> None:
    """Each accepts what is signed; those that verify signatures reject a forged one.

    The no-op answers with the status and length of `receive`, so writing the answer costs the same.
    """
    good = webhook_request()
    answers = {}
    for source in (*OF_RECEIVE.values(), QUICKSTART_RECEIVE):
        async with MeasuredFunction(source, servers) as function:
            cost = await function.burst([good], 1)
            assert cost.requests == 1
            assert cost.cpu_us > 0
            answers[source] = await post(function, good)
            status, _ = await post(function, good.replace(b"Signature: ", b"Signature: 0"))
        assert (status == 200) is (source.name in {"no-op receive", "reads"}), source.name

    assert answers[NOOP_RECEIVE] == answers[RECEIVE]


async def test_each_function_accepts_a_push(servers: Servers) -> None:
    """`deliver` batches messages, the quickstart posts each alone, the layers post nothing.

    The no-op answers with the status and length of `deliver`.
    """
    answers = {}
    for source in (*OF_DELIVER.values(), QUICKSTART_DELIVER):
        before = (await servers.counts()).messages
        async with MeasuredFunction(source, servers) as function:
            cost = await function.burst([push_request() for _ in range(6)], 6)
            messages = (await servers.counts()).messages - before
            answers[source] = await post(function, push_request())

        if source is DELIVER:
            assert messages == 6
            assert 1 <= cost.aep_requests <= 6
        else:
            posted = 6 if source is QUICKSTART_DELIVER else 0
            assert (messages, cost.aep_requests) == (posted, posted), source.name

    assert answers[NOOP_DELIVER] == answers[DELIVER]


async def test_functions_take_turns(servers: Servers) -> None:
    """Each round has the cost of each function; the first round, a warm-up, is left out."""
    async with MeasuredFunction(NOOP_RECEIVE, servers) as noop:
        costs = await alternate([noop], webhook_request, rounds=2, requests=40, connections=2)

    assert [cost.requests for cost in costs[NOOP_RECEIVE]] == [40, 40]
    assert all(cost.quantile_ms(0.5) <= cost.quantile_ms(0.99) for cost in costs[NOOP_RECEIVE])


def test_cpu_of_another_process() -> None:
    """What the system reports of a process by its number is what the process reports itself."""
    before = time.process_time()
    measured = cpu_seconds_of(psutil.Process())

    assert before <= measured + 0.011  # psutil counts hundredths where there is no finer clock
    assert measured <= time.process_time() + 0.011
