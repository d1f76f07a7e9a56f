"""The AEP stand-in as a server: recorded events, the observer, latency, shutdown."""

import asyncio
import time

import pytest

from local.aep import (
    AcceptedMessage,
    AepEvent,
    AepServer,
    Behaviour,
    ReceivedRequest,
    RefusedMessage,
    RequestRead,
    RequestStarted,
    TokenRequested,
    silent,
)
from tests.local.aep_client import raw, running


async def test_request_is_recorded() -> None:
    """A request is recorded with its headers, query, size, count, status and times."""
    async with running() as (aep, client):
        body = b'{"messages":[{"id":"a"},{"id":"b"}]}'
        path = "/collection/batch/{inlet}?x-adobe-flow-id=f"
        await client.post(path, body, {"x-sandbox-name": "prod"})

        (request,) = aep.requests
        assert request.headers["X-Sandbox-Name"] == "prod"
        assert request.query == {"x-adobe-flow-id": "f"}
        assert (request.size, request.messages, request.status) == (len(body), 2, 207)
        assert request.path == f"/collection/batch/{aep.inlet}"
        assert request.started_at <= aep.accepted[0].at <= request.ended_at
        assert [accepted.request for accepted in aep.accepted] == [request.number] * 2
        assert aep.accepted[1].message == {"id": "b"}


async def test_observer_gets_every_event() -> None:
    """An observer gets token requests, requests and each message, in order."""
    seen: list[AepEvent] = []
    async with running(AepServer(observer=seen.append)) as (_, client):
        await client.token()
        await client.batch(raw("a", ""))

    assert [type(event) for event in seen] == [
        TokenRequested,
        RequestStarted,
        RequestRead,
        AcceptedMessage,
        RefusedMessage,
        ReceivedRequest,
    ]


async def test_latency() -> None:
    """Every request takes the configured time, many of them in parallel."""
    async with running(AepServer(Behaviour(latency_seconds=0.1))) as (aep, client):
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(client.batch(raw(str(number))))
            await aep.wait_for(lambda: aep.in_flight == 10)
            assert not aep.accepted

        assert 0.1 <= time.monotonic() - started < 0.9
        assert len(aep.distinct_ids) == 10
        assert aep.in_flight == 0


async def test_client_that_gives_up_is_recorded() -> None:
    """The messages of a client that gave up waiting were accepted."""
    async with running(AepServer(faults=[silent(0.1, accepting=True)])) as (aep, client):
        leaving = asyncio.create_task(client.batch(raw("a")))
        await aep.wait_for(lambda: bool(aep.accepted))
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving

        await aep.wait_for(lambda: aep.in_flight == 0)
        assert aep.distinct_ids == {"a"}


async def test_aborted_request_is_recorded(caplog: pytest.LogCaptureFixture) -> None:
    """An aborted request is recorded and not accepted, and logs no error."""
    async with running() as (aep, _):
        host, port = aep.url.removeprefix("http://").split(":")
        writer = (await asyncio.open_connection(host, int(port)))[1]
        head = (
            f"POST /collection/batch/{aep.inlet} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"
        )
        writer.write(head.encode() + b'{"messages":')
        await aep.wait_for(lambda: aep.in_flight == 1)
        writer.close()
        await writer.wait_closed()

        await aep.wait_for(lambda: aep.in_flight == 0)
        assert aep.requests[0].status is None
        assert not aep.accepted

    assert not caplog.records
