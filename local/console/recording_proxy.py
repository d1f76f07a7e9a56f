"""A proxy in front of `receive` that forwards each request unchanged and records a copy.

It has its own port, so that a tunnel to it exposes `receive` and not the console.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.console.security import listening
from local.console.state import Webhook

_READ_LIMIT_BYTES: Final = 16 * 1024 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
# RFC 9110, section 7.6.1: headers between two hops, and those that the next hop sets itself.
_HOP_BY_HOP: Final = frozenset(
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
    """Runs the proxy and yields its URL.

    Args:
        receive_url: The URL of `receive`.
        record: Called with each request once it is answered.
        port: Its port; 0 for any free one.
        or_any: Whether to use any free port if that one is taken.

    Raises:
        PortTaken: The port is taken, and `or_any` is not set.
    """
    async with aiohttp.ClientSession(
        # A new connection for each request: `receive` may be closing a kept one (uvicorn does after
        # five idle seconds), and the webhook on it would be lost.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_TIMEOUT,
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:

        async def forward(request: web.Request) -> web.Response:
            started_at = time.time()
            try:
                body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                return web.Response(status=413)
            status, headers, answer = await _forward(session, receive_url, request, body)
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
        app.router.add_route("*", "/{path:.*}", forward)
        async with listening(app, port, or_any=or_any) as found:
            yield f"http://127.0.0.1:{found}"


async def _forward(
    session: aiohttp.ClientSession, url: str, request: web.Request, body: bytes
) -> tuple[int, CIMultiDict[str], bytes]:
    """Returns the answer of `receive`; status 0 if there is none."""
    try:
        async with session.request(
            request.method,
            url.rstrip("/") + request.path_qs,
            data=body,
            headers=_end_to_end(request.headers),
            allow_redirects=False,
        ) as response:
            answer = await response.read()
            return response.status, _end_to_end(response.headers), answer
    except (aiohttp.ClientError, TimeoutError):
        headers = CIMultiDict({"Content-Type": "application/json"})
        return 0, headers, b'{"error":"receive does not answer"}'


def _end_to_end(headers: aiohttp.typedefs.LooseHeaders) -> CIMultiDict[str]:
    given = CIMultiDict(headers)
    named = {name.strip().lower() for name in given.get("Connection", "").split(",")}
    return CIMultiDict(
        (name, value) for name, value in given.items() if name.lower() not in _HOP_BY_HOP | named
    )
