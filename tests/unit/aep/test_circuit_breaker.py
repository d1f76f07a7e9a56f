"""While AEP keeps failing one request at a time asks whether it is back, and nobody else does."""

from __future__ import annotations

import asyncio

import pytest

from local.simulated_time import run_simulated
from pendo_aep.aep.circuit_breaker import CircuitBreaker, CircuitOpen, Permit
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.outcome import Outcome, Retry, RetryReason
from tests.unit.aep.fake_client import (
    FakeClient,
    Messages,
    Reply,
    accept,
    counts,
    now,
    numbered_messages,
)

OUTAGE_SECONDS = 60.0


async def ask(brake: CircuitBreaker, *, seconds: float = 30.0) -> Permit:
    """A permit for a request that may wait so long."""
    return await brake.permit(now() + seconds)


async def put_on(brake: CircuitBreaker) -> None:
    """Three failures in a row."""
    for _ in range(3):
        brake.failed(await ask(brake))


async def probe(brake: CircuitBreaker) -> Permit:
    """The next permit there is, looked for often."""
    while True:
        try:
            return await ask(brake)
        except CircuitOpen:
            await asyncio.sleep(0.25)


def test_three_failures_in_a_row() -> None:
    """Two failures are an accident, three an outage; a success in between starts anew."""

    async def test() -> None:
        brake = CircuitBreaker()
        for _ in range(2):
            brake.failed(await ask(brake))
        brake.succeeded(await ask(brake))
        for _ in range(2):
            brake.failed(await ask(brake))
        assert not brake.is_open
        brake.failed(await ask(brake))
        assert brake.is_open

    run_simulated(test())


def test_failures_under_way_together() -> None:
    """Requests that were under way together fail together: that is one failure."""

    async def test() -> None:
        brake = CircuitBreaker()
        for permit in [await ask(brake) for _ in range(8)]:
            brake.failed(permit)
        assert not brake.is_open

    run_simulated(test())


def test_one_probe_at_a_time() -> None:
    """While the brake is on all is handed back at once, but for one probe after the pause."""

    async def test() -> None:
        brake = CircuitBreaker(jitter=lambda: 1.0)
        await put_on(brake)
        began = now()
        with pytest.raises(CircuitOpen):
            await ask(brake)
        assert now() == began
        await asyncio.sleep(1.0)
        assert (await ask(brake)).is_probe
        with pytest.raises(CircuitOpen):
            await ask(brake)

    run_simulated(test())


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_pauses_grow(jitter: float) -> None:
    """The pauses double to at most 30 seconds, less up to half of that by chance."""

    async def test() -> list[float]:
        brake = CircuitBreaker(jitter=lambda: jitter)
        await put_on(brake)
        pauses = []
        for _ in range(8):
            began = now()
            permit = await probe(brake)
            pauses.append(now() - began)
            brake.failed(permit)
        return pauses

    expected = [pause * (0.5 + jitter / 2) for pause in (1, 2, 4, 8, 16, 30, 30, 30)]
    assert run_simulated(test()) == pytest.approx(expected, abs=0.26)


def test_one_success_releases() -> None:
    """After one success everybody may go at once, and the pauses start small again."""

    async def test() -> None:
        brake = CircuitBreaker(jitter=lambda: 1.0)
        await put_on(brake)
        brake.failed(await probe(brake))
        brake.succeeded(await probe(brake))
        began = now()
        permits = [await ask(brake) for _ in range(100)]
        assert now() == began
        assert not any(permit.is_probe for permit in permits)
        await put_on(brake)
        began = now()
        await probe(brake)
        assert now() - began == pytest.approx(1.0, abs=0.26)

    run_simulated(test())


def test_forgotten_probe() -> None:
    """A probe that says nothing of AEP's health leaves its place to the next."""

    async def test() -> None:
        brake = CircuitBreaker()
        await put_on(brake)
        brake.release(await probe(brake))
        assert (await ask(brake)).is_probe

    run_simulated(test())


def test_retry_after_holds_back_everybody() -> None:
    """Who can wait as long as AEP asked waits, and who cannot is handed back at once."""

    async def test() -> None:
        brake = CircuitBreaker()
        brake.failed(await ask(brake), 5.0)
        began = now()
        with pytest.raises(CircuitOpen):
            await ask(brake, seconds=3.0)
        assert now() == began
        await ask(brake)
        assert now() - began == pytest.approx(5.0)

    run_simulated(test())


def test_retry_after_of_those_under_way_together() -> None:
    """The longest pause asked for counts, also by a request whose failure is counted already."""

    async def test() -> None:
        brake = CircuitBreaker()
        permits = [await ask(brake) for _ in range(3)]
        for permit, seconds in zip(permits, (1.0, 9.0, 4.0), strict=True):
            brake.failed(permit, seconds)
        began = now()
        await ask(brake)
        assert now() - began == pytest.approx(9.0)

    run_simulated(test())


def test_success_of_an_earlier_request() -> None:
    """What was under way before AEP asked for a pause does not end that pause by succeeding."""

    async def test() -> None:
        brake = CircuitBreaker()
        early, late = await ask(brake), await ask(brake)
        brake.failed(late, 5.0)
        brake.succeeded(early)
        began = now()
        await ask(brake)
        assert now() - began == pytest.approx(5.0)

    run_simulated(test())


def test_holds_back() -> None:
    """It holds back exactly while a request would be refused: not when a probe is due."""

    async def test() -> None:
        brake = CircuitBreaker(jitter=lambda: 1.0)
        assert not brake.rejects_now
        await put_on(brake)
        assert brake.rejects_now
        await asyncio.sleep(1.0)
        assert not brake.rejects_now
        permit = await ask(brake)
        assert brake.rejects_now
        brake.succeeded(permit)
        assert not brake.rejects_now

    run_simulated(test())


def outgoing(seconds: float = 30.0) -> list[PendingMessage]:
    """A batch of one message that has so many seconds."""
    return [PendingMessage(message, now() + seconds) for message in numbered_messages(1)]


def test_cancelled_probe() -> None:
    """A probe whose sending is cancelled does not keep the next from asking."""

    async def test() -> None:
        brake = CircuitBreaker()
        inlet = FakeClient(seconds=5.0)
        sender = BatchSender(inlet, brake)
        await put_on(brake)
        await asyncio.sleep(2.0)
        first = asyncio.create_task(sender.send(outgoing()))
        await asyncio.sleep(1.0)
        assert len(inlet.requests) == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert counts(await sender.send(outgoing())) == {"delivered": 1}

    run_simulated(test())


@pytest.mark.parametrize(
    "failure", [Response(500, b""), Response(503, b""), NoResponse(RetryReason.OUT_OF_REACH)]
)
@pytest.mark.parametrize("count", [1, 3])
def test_outage_of_a_minute(failure: Reply, count: int) -> None:
    """A minute's outage costs fewer than 100 requests, and then all goes as before it."""

    async def test() -> tuple[FakeClient, float, float, list[Outcome]]:
        back_at = now() + OUTAGE_SECONDS

        def script(messages: Messages) -> Reply:
            return failure if now() < back_at else accept(messages)

        inlet = FakeClient(script, seconds=0.05)
        brake = CircuitBreaker()
        sender = BatchSender(inlet, brake)
        sending: list[asyncio.Task[list[Outcome]]] = []
        while now() < back_at or brake.is_open:
            batch = [PendingMessage(message, now() + 30) for message in numbered_messages(count)]
            sending.append(asyncio.create_task(sender.send(batch)))
            await asyncio.sleep(0.1)
        released_at = now()
        await asyncio.gather(*sending)
        afterwards = [outcome for _ in range(20) for outcome in await sender.send(outgoing())]
        return inlet, back_at, released_at, afterwards

    inlet, back_at, released_at, afterwards = run_simulated(test())
    assert sum(request.at < back_at for request in inlet.requests) < 100
    assert released_at - back_at <= 31.0
    assert counts(afterwards) == {"delivered": 20}


def test_braked_batch() -> None:
    """A batch that comes while the brake is on goes back to Pub/Sub at once, without a request."""

    async def test() -> None:
        brake = CircuitBreaker()
        inlet = FakeClient()
        await put_on(brake)
        began = now()
        assert await BatchSender(inlet, brake).send(outgoing()) == [Retry(RetryReason.CIRCUIT_OPEN)]
        assert inlet.requests == []
        assert now() == began

    run_simulated(test())
