"""The recorder in front of `receive`: it passes each request on as it is, and keeps a copy.

It has a port of its own, so that a tunnel which is pointed at it shows the world `receive`, and not
the console.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.console.listen import listening
from local.console.records import Webhook

_READ_LIMIT_BYTES: Final = 16 * 1024 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
# RFC 9110, section 7.6.1: what is between two hops; and what the next hop says of itself.
_OF_THE_HOP: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@asynccontextmanager
async def recording(
    receive_url: str, record: Callable[[Webhook], None], *, port: int, or_any: bool
) -> AsyncIterator[str]:
    """Records what comes for `receive`; answers the URL to send it to.

    Args:
        receive_url: where `receive` listens.
        record: is called with each request once it is answered.
        port: where to listen; 0 for a free port.
        or_any: whether another port will do if that one is taken.

    Raises:
        PortTaken: it is, and another will not do.
    """
    async with aiohttp.ClientSession(
        # A connection each: one that is kept is one that `receive` may just be closing (uvicorn
        # does after five idle seconds), and the webhook on it would be lost.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_TIMEOUT,
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:

        async def handle(request: web.Request) -> web.Response:
            started_at = time.time()
            try:
                body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                return web.Response(status=413)
            status, headers, answer = await _pass_on(session, receive_url, request, body)
            record(
                Webhook(
                    request.method,
                    request.path_qs,
                    tuple(request.headers.items()),
                    body,
                    started_at,
                    time.time(),
                    status,
                    answer,
                )
            )
            return web.Response(status=status or 502, headers=headers, body=answer)

        app = web.Application(client_max_size=_READ_LIMIT_BYTES)
        app.router.add_route("*", "/{path:.*}", handle)
        async with listening(app, port, or_any=or_any) as found:
            yield f"http://127.0.0.1:{found}"


async def _pass_on(
    session: aiohttp.ClientSession, url: str, request: web.Request, body: bytes
) -> tuple[int, CIMultiDict[str], bytes]:
    """The answer of `receive`; status 0 if it gave none."""
    try:
        async with session.request(
            request.method,
            url.rstrip("/") + request.path_qs,
            data=body,
            headers=_passed_on(request.headers),
            allow_redirects=False,
        ) as response:
            answer = await response.read()
            return response.status, _passed_on(response.headers), answer
    except (aiohttp.ClientError, TimeoutError):
        headers = CIMultiDict({"Content-Type": "application/json"})
        return 0, headers, b'{"error":"receive does not answer"}'


def _passed_on(headers: aiohttp.typedefs.LooseHeaders) -> CIMultiDict[str]:
    given = CIMultiDict(headers)
    named = {name.strip().lower() for name in given.get("Connection", "").split(",")}
    return CIMultiDict(
        (name, value) for name, value in given.items() if name.lower() not in _OF_THE_HOP | named
    )
