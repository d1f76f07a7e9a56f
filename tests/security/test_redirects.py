"""Who is sent elsewhere does not go: tokens and events stay with whom the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from pendo_aep.aep.auth import Credentials, TokenSource
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import StreamingClient
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.http import http_connection
from pendo_aep.outcome import Outcome, Retry
from pendo_aep.settings import Secret

STATUSES = [300, 301, 302, 303, 305, 307, 308]


@asynccontextmanager
async def server(answer: web.Response | None, asked: list[str]) -> AsyncIterator[str]:
    """A server that notes who asks, and answers so; None: as AEP and IMS would."""

    async def serve(request: web.Request) -> web.Response:
        asked.append(request.path)
        if answer is not None:
            return web.Response(status=answer.status, headers=answer.headers)
        if request.path.startswith("/ims"):
            return web.json_response({"access_token": "t", "expires_in": 60})
        return web.json_response({"responses": [{"xactionId": "a-0"}]}, status=207)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def outcome(aep: str, ims: str) -> Outcome:
    """What becomes of one message, with these addresses."""
    async with aiohttp.ClientSession() as session:
        tokens = TokenSource(
            http_connection("IMS", lambda: session),
            Credentials(ims, "client", Secret("secret"), "scope"),
        )
        inlet = StreamingClient(
            http_connection("AEP", lambda: session),
            endpoint=f"{aep}/collection/inlet",
            tokens=tokens,
        )
        deadline = asyncio.get_running_loop().time() + 1
        (only,) = await BatchSender(inlet, CircuitBreaker()).send(
            [PendingMessage(b'{"id":"a"}', deadline)]
        )
        return only


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("who", ["AEP", "IMS"])
async def test_a_redirect(who: str, status: int) -> None:
    """A redirect is no answer: nobody asks where it leads, and the message comes again."""
    elsewhere: list[str] = []
    asked: list[str] = []
    right: list[str] = []
    async with server(None, elsewhere) as thief, server(None, right) as adobe:
        away = web.Response(status=status, headers={"Location": f"{thief}/collection/batch/x"})
        async with server(away, asked) as redirecting:
            aep, ims = (redirecting, adobe) if who == "AEP" else (adobe, redirecting)
            assert isinstance(await outcome(aep, ims), Retry)
    assert asked
    assert not elsewhere
    assert right == (["/ims/token/v3"] if who == "AEP" else [])
