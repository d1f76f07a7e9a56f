"""The circuit breaker: while AEP keeps failing, only one probe at a time is sent."""

from __future__ import annotations

import asyncio

import pytest

from local.simulated_time import run_simulated
from pendo_aep.aep.circuit_breaker import CircuitBreaker, CircuitOpen, Permit
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.outcome import Outcome, Retry, RetryReason
from tests.simulated_time import now, simulated
from tests.unit.aep.fake_client import (
    FakeClient,
    Messages,
    Reply,
    accept,
    counts,
    numbered_messages,
)

OUTAGE_SECONDS = 60.0


async def ask(breaker: CircuitBreaker, *, seconds: float = 30.0) -> Permit:
    """Asks for a permit, for a request that may wait so long."""
    return await breaker.permit(now() + seconds)


async def open_circuit(breaker: CircuitBreaker) -> None:
    """Reports three failures in a row."""
    for _ in range(3):
        breaker.failed(await ask(breaker))


async def probe(breaker: CircuitBreaker) -> Permit:
    """Returns the next permit, asking every 0.25 s."""
    while True:
        try:
            return await ask(breaker)
        except CircuitOpen:
            await asyncio.sleep(0.25)


@simulated
async def test_three_failures_in_a_row_open_the_circuit() -> None:
    """Three failures in a row are an outage; a success resets the count."""
    breaker = CircuitBreaker()
    for _ in range(2):
        breaker.failed(await ask(breaker))
    breaker.succeeded(await ask(breaker))
    for _ in range(2):
        breaker.failed(await ask(breaker))
    assert not breaker.is_open
    breaker.failed(await ask(breaker))
    assert breaker.is_open


@simulated
async def test_concurrent_failures_count_once() -> None:
    """Requests that were in flight together count as one failure."""
    breaker = CircuitBreaker()
    for permit in [await ask(breaker) for _ in range(8)]:
        breaker.failed(permit)
    assert not breaker.is_open


@simulated
async def test_one_probe_at_a_time() -> None:
    """While the circuit is open, all is rejected at once, except one probe after the pause."""
    breaker = CircuitBreaker(jitter=lambda: 1.0)
    await open_circuit(breaker)
    began = now()
    with pytest.raises(CircuitOpen):
        await ask(breaker)
    assert now() == began
    await asyncio.sleep(1.0)
    assert (await ask(breaker)).is_probe
    with pytest.raises(CircuitOpen):
        await ask(breaker)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_pauses_grow(jitter: float) -> None:
    """The pauses double up to 30 seconds, with jitter of up to half."""

    async def test() -> list[float]:
        breaker = CircuitBreaker(jitter=lambda: jitter)
        await open_circuit(breaker)
        pauses = []
        for _ in range(8):
            began = now()
            permit = await probe(breaker)
            pauses.append(now() - began)
            breaker.failed(permit)
        return pauses

    expected = [pause * (0.5 + jitter / 2) for pause in (1, 2, 4, 8, 16, 30, 30, 30)]
    assert run_simulated(test()) == pytest.approx(expected, abs=0.26)


@simulated
async def test_one_success_closes_the_circuit() -> None:
    """After one success all requests are permitted at once, and the pauses start small again."""
    breaker = CircuitBreaker(jitter=lambda: 1.0)
    await open_circuit(breaker)
    breaker.failed(await probe(breaker))
    breaker.succeeded(await probe(breaker))
    began = now()
    permits = [await ask(breaker) for _ in range(100)]
    assert now() == began
    assert not any(permit.is_probe for permit in permits)
    await open_circuit(breaker)
    began = now()
    await probe(breaker)
    assert now() - began == pytest.approx(1.0, abs=0.26)


@simulated
async def test_a_released_probe_is_replaced() -> None:
    """After a probe that says nothing about AEP's health, the next request is a probe."""
    breaker = CircuitBreaker()
    await open_circuit(breaker)
    breaker.release(await probe(breaker))
    assert (await ask(breaker)).is_probe


@simulated
async def test_retry_after_applies_to_all_requests() -> None:
    """A request waits as long as AEP asked, or is rejected at once if its deadline is sooner."""
    breaker = CircuitBreaker()
    breaker.failed(await ask(breaker), 5.0)
    began = now()
    with pytest.raises(CircuitOpen):
        await ask(breaker, seconds=3.0)
    assert now() == began
    await ask(breaker)
    assert now() - began == pytest.approx(5.0)


@simulated
async def test_the_longest_retry_after_counts() -> None:
    """The longest pause counts, also that of a request whose failure was already counted."""
    breaker = CircuitBreaker()
    permits = [await ask(breaker) for _ in range(3)]
    for permit, seconds in zip(permits, (1.0, 9.0, 4.0), strict=True):
        breaker.failed(permit, seconds)
    began = now()
    await ask(breaker)
    assert now() - began == pytest.approx(9.0)


@simulated
async def test_an_earlier_success_does_not_end_a_pause() -> None:
    """A request that was sent before AEP asked for a pause does not end it by succeeding."""
    breaker = CircuitBreaker()
    early, late = await ask(breaker), await ask(breaker)
    breaker.failed(late, 5.0)
    breaker.succeeded(early)
    began = now()
    await ask(breaker)
    assert now() - began == pytest.approx(5.0)


@simulated
async def test_rejects_now() -> None:
    """It is true exactly while a request would be rejected: not when a probe is due."""
    breaker = CircuitBreaker(jitter=lambda: 1.0)
    assert not breaker.rejects_now
    await open_circuit(breaker)
    assert breaker.rejects_now
    await asyncio.sleep(1.0)
    assert not breaker.rejects_now
    permit = await ask(breaker)
    assert breaker.rejects_now
    breaker.succeeded(permit)
    assert not breaker.rejects_now


def pending(seconds: float = 30.0) -> list[PendingMessage]:
    """Returns a batch of one message with a deadline in so many seconds."""
    return [PendingMessage(message, now() + seconds) for message in numbered_messages(1)]


@simulated
async def test_a_cancelled_probe_is_replaced() -> None:
    """After a probe was cancelled, the next batch is the probe."""
    breaker = CircuitBreaker()
    client = FakeClient(seconds=5.0)
    sender = BatchSender(client, breaker)
    await open_circuit(breaker)
    await asyncio.sleep(2.0)
    first = asyncio.create_task(sender.send(pending()))
    await asyncio.sleep(1.0)
    assert len(client.requests) == 1
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert counts(await sender.send(pending())) == {"delivered": 1}


@pytest.mark.parametrize(
    "failure", [Response(500, b""), Response(503, b""), NoResponse(RetryReason.OUT_OF_REACH)]
)
@pytest.mark.parametrize("count", [1, 3])
def test_an_outage_of_a_minute(failure: Reply, count: int) -> None:
    """An outage of a minute costs fewer than 100 requests; afterwards all is delivered again."""

    async def test() -> tuple[FakeClient, float, float, list[Outcome]]:
        back_at = now() + OUTAGE_SECONDS

        def script(messages: Messages) -> Reply:
            return failure if now() < back_at else accept(messages)

        client = FakeClient(script, seconds=0.05)
        breaker = CircuitBreaker()
        sender = BatchSender(client, breaker)
        sending: list[asyncio.Task[list[Outcome]]] = []
        while now() < back_at or breaker.is_open:
            batch = [PendingMessage(message, now() + 30) for message in numbered_messages(count)]
            sending.append(asyncio.create_task(sender.send(batch)))
            await asyncio.sleep(0.1)
        released_at = now()
        await asyncio.gather(*sending)
        afterwards = [outcome for _ in range(20) for outcome in await sender.send(pending())]
        return client, back_at, released_at, afterwards

    client, back_at, released_at, afterwards = run_simulated(test())
    assert sum(request.at < back_at for request in client.requests) < 100
    assert released_at - back_at <= 31.0
    assert counts(afterwards) == {"delivered": 20}


@simulated
async def test_a_batch_is_returned_while_the_circuit_is_open() -> None:
    """While the circuit is open, a batch is returned at once, without a request."""
    breaker = CircuitBreaker()
    client = FakeClient()
    await open_circuit(breaker)
    began = now()
    assert await BatchSender(client, breaker).send(pending()) == [Retry(RetryReason.CIRCUIT_OPEN)]
    assert client.requests == []
    assert now() == began
