"""An AEP and an IMS that answer badly or redirect: nothing counts as delivered, nothing hangs."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import psutil
import pytest
from aiohttp import web

from pendo_aep.aep.auth import Credentials, TokenSource
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import StreamingClient
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.http import http_connection
from pendo_aep.outcome import Outcome, Retry
from pendo_aep.settings import Secret
from tests.cases import Case, expand, table
from tests.delivery_harness import http_server

pytestmark = pytest.mark.process

# How long a message may wait for AEP, and how long a busy machine may take to notice.
DEADLINE_SECONDS, TIMEOUT_SECONDS = 2.0, 60.0
SPARE_BYTES = 100_000_000


@asynccontextmanager
async def raw_server(pieces: Sequence[bytes], *, again: bool = False) -> AsyncIterator[str]:
    """Answers every request with these bytes, repeatedly if `again`; yields its address."""
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"".join(pieces))
            await writer.drain()
            while again:
                writer.write(pieces[-1])
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has closed the connection
        finally:
            connections.discard(writer)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        host, port = listening.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        listening.close()
        for writer in list(connections):
            writer.transport.abort()
        await listening.wait_closed()


async def outcome(aep: str, ims: str = "") -> Outcome:
    """Returns the outcome of one message that is sent to these addresses."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(TIMEOUT_SECONDS):
        credentials = Credentials(ims, "client", Secret("secret"), "scope")
        tokens = TokenSource(http_connection("IMS", lambda: session), credentials) if ims else None
        client = StreamingClient(
            http_connection("AEP", lambda: session),
            endpoint=f"{aep}/collection/inlet",
            tokens=tokens,
        )
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        (only,) = await BatchSender(client, CircuitBreaker()).send(
            [PendingMessage(b'{"id":"a"}', deadline)]
        )
        return only


async def answered_by(case: Case, *, is_ims: bool) -> Outcome:
    """Returns the outcome of a message when AEP, or IMS, gives the answer of a row."""
    async with raw_server([expand(case["answer"], latin1=True)]) as address:
        return await (outcome("http://127.0.0.1:9", address) if is_ims else outcome(address))


@pytest.mark.parametrize("is_ims", [False, True], ids=["AEP", "IMS"])
async def test_bad_answers(is_ims: bool) -> None:
    """A malformed answer of AEP makes the message come again, before its deadline.

    Without a token from IMS nothing is sent, and the message comes again.
    """
    rows = table("hostile/servers")
    outcomes = await asyncio.gather(*(answered_by(row, is_ims=is_ims) for row in rows))
    both = zip(rows, outcomes, strict=True)
    assert [row["case"] for row, of in both if not isinstance(of, Retry)] == []


async def test_an_endless_answer() -> None:
    """An answer without end is dropped at the size limit."""
    before = psutil.Process().memory_info().rss
    head = b"HTTP/1.1 207 Multi-Status\r\n\r\n"
    async with raw_server([head, b"[" * 100_000], again=True) as aep:
        assert isinstance(await outcome(aep), Retry)
    assert psutil.Process().memory_info().rss - before < SPARE_BYTES


async def test_a_decompression_bomb() -> None:
    """An answer of 0.7 MB that decompresses to 150 MB is dropped, and never held."""
    zipped = gzip.compress(b" " * 150_000_000, 1)
    head = b"HTTP/1.1 207 Multi-Status\r\nContent-Encoding: gzip\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(zipped)
    before = psutil.Process().memory_info().rss
    async with raw_server([head, length, zipped]) as aep:
        assert isinstance(await outcome(aep), Retry)
    assert psutil.Process().memory_info().rss - before < SPARE_BYTES


@asynccontextmanager
async def recording_server(
    paths: list[str], location: str = "", status: int = 0
) -> AsyncIterator[str]:
    """Redirects every request to `location`; without one, answers as AEP and IMS would.

    Appends the path of each request to `paths`.
    """

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        if location:
            return web.Response(status=status, headers={"Location": location})
        if request.path.startswith("/ims"):
            return web.json_response({"access_token": "t", "expires_in": 60})
        return web.json_response({"responses": [{"xactionId": "a-0"}]}, status=207)

    async with http_server(answer) as address:
        yield address


@pytest.mark.parametrize("who", ["AEP", "IMS"])
async def test_redirects_are_not_followed(who: str) -> None:
    """Tokens and events go only to the addresses in the settings, and the message comes again."""
    statuses = (300, 301, 302, 303, 305, 307, 308)
    await asyncio.gather(*(check_redirect(who, status) for status in statuses))


async def check_redirect(who: str, status: int) -> None:
    """Checks that AEP or IMS redirects with this status, and nothing goes there."""
    elsewhere: list[str] = []
    redirected: list[str] = []
    genuine: list[str] = []
    async with recording_server(elsewhere) as thief, recording_server(genuine) as adobe:
        location = f"{thief}/collection/batch/x"
        async with recording_server(redirected, location, status) as redirecting:
            aep, ims = (redirecting, adobe) if who == "AEP" else (adobe, redirecting)
            assert isinstance(await outcome(aep, ims), Retry), status
    assert redirected, status
    assert not elsewhere, status
    assert genuine == (["/ims/token/v3"] if who == "AEP" else []), status
