"""The functions that are compared, over HTTP: each does the work that it is measured for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import psutil
import pytest

from benchmarks import events
from benchmarks.cpu import cpu_seconds_of
from benchmarks.layers import OF_DELIVER, OF_RECEIVE
from benchmarks.load import LoadFailed
from benchmarks.processes import (
    DELIVER,
    NOOP_DELIVER,
    NOOP_RECEIVE,
    QUICKSTART_DELIVER,
    QUICKSTART_RECEIVE,
    RECEIVE,
    Measured,
    Source,
)
from benchmarks.rounds import alternate
from benchmarks.servers import Servers


@pytest.mark.parametrize("source", [RECEIVE, QUICKSTART_RECEIVE], ids=lambda one: one.name)
async def test_a_webhook_is_taken_only_with_its_signature(source: Source) -> None:
    """Ours and the quickstart both take what is signed, and refuse what is not."""
    good = events.webhook_request()
    async with Servers() as servers, Measured(source, servers) as function:
        cost = await function.burst([good], 1)
        with pytest.raises(LoadFailed, match="401"):
            await function.burst([good.replace(b"Signature: ", b"Signature: 0")], 1)

    assert cost.requests == 1
    assert cost.cpu_us > 0


@pytest.mark.parametrize(
    ("source", "requests"), [(DELIVER, range(1, 7)), (QUICKSTART_DELIVER, [6])], ids=["ours", "qs"]
)
async def test_pushed_messages_reach_aep(source: Source, requests: range | list[int]) -> None:
    """Every message is in AEP when its push is answered; the quickstart makes a request of each."""
    pushes = [events.push_request() for _ in range(6)]
    async with Servers() as servers, Measured(source, servers) as function:
        cost = await function.burst(pushes, 6)
        counts = await servers.counts()

    assert counts.messages == 6
    assert cost.aep_requests in requests


@pytest.mark.parametrize(
    ("noop", "ours", "request_"),
    [
        (NOOP_RECEIVE, RECEIVE, events.webhook_request()),
        (NOOP_DELIVER, DELIVER, events.push_request()),
    ],
    ids=["receive", "deliver"],
)
async def test_a_no_op_answers_what_ours_answers(
    noop: Source, ours: Source, request_: bytes
) -> None:
    """Status and length are the same, so that work is compared and not writing."""
    answers = []
    for source in (noop, ours):
        async with Servers() as servers, Measured(source, servers) as function:
            answers.append(await answer(function, request_))

    assert answers[0] == answers[1]


async def answer(function: Measured, request_: bytes) -> tuple[int, int]:
    """The status and the length of what a function answers."""
    head, _, body = request_.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    url = f"http://127.0.0.1:{function.port}/"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as got,
    ):
        return got.status, len(await got.read())


@pytest.mark.parametrize("source", OF_RECEIVE.values(), ids=lambda one: one.name)
async def test_each_layer_takes_a_webhook(source: Source) -> None:
    """What has only the first steps of `receive` answers as it does; what verifies, verifies."""
    good = events.webhook_request()
    forged = good.replace(b"Signature: ", b"Signature: 0")
    async with Servers() as servers, Measured(source, servers) as function:
        assert (await function.burst([good], 1)).requests == 1
        status, _ = await answer(function, forged)

    assert (status == 200) is (source.name in {"no-op receive", "reads"})


@pytest.mark.parametrize("source", OF_DELIVER.values(), ids=lambda one: one.name)
async def test_each_layer_takes_a_push(source: Source) -> None:
    """What has only the first steps of `deliver` answers as it does, and sends nothing."""
    async with Servers() as servers, Measured(source, servers) as function:
        cost = await function.burst([events.push_request() for _ in range(3)], 3)

    assert (cost.aep_requests > 0) is (source is DELIVER)


async def test_functions_take_turns() -> None:
    """Each round has its cost of each function; the first round, which warms them, is not told."""
    async with Servers() as servers, Measured(NOOP_RECEIVE, servers) as noop:
        costs = await alternate(
            [noop], events.webhook_request, rounds=2, requests=40, connections=2
        )

    assert [cost.requests for cost in costs[NOOP_RECEIVE]] == [40, 40]
    assert all(cost.quantile_ms(0.5) <= cost.quantile_ms(0.99) for cost in costs[NOOP_RECEIVE])


async def test_a_function_that_does_not_start_says_why(tmp_path: Path) -> None:
    """What it printed is in the error."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no such luck')\n", "utf-8")

    async with Servers() as servers:
        with pytest.raises(RuntimeError, match=r"(?s)broken does not start.*no such luck"):
            async with Measured(Source("broken", "receive", broken), servers):
                await asyncio.Event().wait()


def test_cpu_of_another_process() -> None:
    """What the system says of a process by its number is what the process says of itself."""
    before = time.process_time()
    measured = cpu_seconds_of(psutil.Process())

    assert before <= measured + 0.011  # psutil counts hundredths where there is no finer clock
    assert measured <= time.process_time() + 0.011
