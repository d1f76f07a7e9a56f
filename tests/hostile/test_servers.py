"""An AEP and an IMS that answer as badly as can be: nothing counts as delivered, nothing hangs."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import psutil
import pytest

from pendo_aep.aep.auth import Credentials, TokenSource
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import StreamingClient
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.http import http_connection
from pendo_aep.outcome import Outcome, Retry
from pendo_aep.settings import Secret
from tests.cases import Case
from tests.hostile.tables import cases, written_out

# How long a message may wait for AEP, and how long a busy machine may take to give up on it.
DEADLINE_SECONDS, PATIENCE_SECONDS = 1.0, 30.0
SPARE_BYTES = 100_000_000


@asynccontextmanager
async def server(pieces: Sequence[bytes], *, again: bool = False) -> AsyncIterator[str]:
    """Answers every request with these bytes, over and over if `again`; yields its address."""
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
            pass  # the client has had enough
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
    """What becomes of one message, with these addresses."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_SECONDS):
        credentials = Credentials(ims, "client", Secret("secret"), "scope")
        tokens = TokenSource(http_connection("IMS", lambda: session), credentials) if ims else None
        inlet = StreamingClient(
            http_connection("AEP", lambda: session),
            endpoint=f"{aep}/collection/inlet",
            tokens=tokens,
        )
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        (only,) = await BatchSender(inlet, CircuitBreaker()).send(
            [PendingMessage(b'{"id":"a"}', deadline)]
        )
        return only


@pytest.mark.parametrize("case", cases("servers"))
async def test_an_aep_that_answers_badly(case: Case) -> None:
    """Its messages are tried again, each in its time."""
    async with server([written_out(case["answer"], latin1=True)]) as aep:
        assert isinstance(await outcome(aep), Retry)


@pytest.mark.parametrize("case", cases("servers"))
async def test_an_ims_that_answers_badly(case: Case) -> None:
    """No token, no request: the messages are tried again."""
    async with server([written_out(case["answer"], latin1=True)]) as ims:
        assert isinstance(await outcome("http://127.0.0.1:9", ims), Retry)


async def test_an_answer_without_end() -> None:
    """An answer that goes on for ever is dropped when it is too long for one."""
    before = psutil.Process().memory_info().rss
    head = b"HTTP/1.1 207 Multi-Status\r\n\r\n"
    async with server([head, b"[" * 100_000], again=True) as aep:
        assert isinstance(await outcome(aep), Retry)
    assert psutil.Process().memory_info().rss - before < SPARE_BYTES


async def test_an_answer_that_unfolds() -> None:
    """An answer of 300 KB that unzips to 300 MB is dropped as too long, and not held."""
    zipped = gzip.compress(b" " * 300_000_000, 1)
    head = b"HTTP/1.1 207 Multi-Status\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    before = psutil.Process().memory_info().rss
    async with server([head % len(zipped), zipped]) as aep:
        assert isinstance(await outcome(aep), Retry)
    assert psutil.Process().memory_info().rss - before < SPARE_BYTES
