"""Who may use the console: only a browser on this machine that has the console's own page open.

The console shows personal data and its actions are real. It listens on 127.0.0.1 only, and refuses
three kinds of requests: to another name that resolves to 127.0.0.1 (DNS rebinding), from a page of
another origin (cross-site request forgery), and from a form, which needs no script.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

# An open page keeps its stream open for ever.
_SHUTDOWN_SECONDS: Final = 0.5
_NAMES: Final = ("127.0.0.1", "localhost")
# No inline script or style, nothing from other hosts, no HTML made from text, no framing.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class PortTaken(Exception):
    """Another process listens on the port; the text says what to do."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} of 127.0.0.1 is taken: stop what listens there or choose another "
            "(python -m local --help has an option for each)"
        )


@asynccontextmanager
async def listening(app: web.Application, port: int, *, or_any: bool) -> AsyncIterator[int]:
    """Serves an application on 127.0.0.1 and yields the port.

    Args:
        app: The application.
        port: The port; 0 for any free one.
        or_any: Whether to use any free port if that one is taken.

    Raises:
        PortTaken: The port is taken, and `or_any` is not set.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            if not or_any:
                raise PortTaken(port) from None
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await asyncio.shield(runner.cleanup())


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses requests that the console's own page would not make."""
    if problem := wrong_in(request):
        return web.json_response({"error": problem}, status=403, headers=HEADERS)
    if request.method == "POST" and request.content_type != "application/json":
        body = {"error": "send JSON, with Content-Type: application/json"}
        return web.json_response(body, status=415, headers=HEADERS)
    return await handler(request)


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Adds the headers to every response, including streams."""
    response.headers.update(HEADERS)


def wrong_in(request: web.Request) -> str:
    """Returns why the request cannot be from the console's own page, or an empty string."""
    sock = request.get_extra_info("sockname")
    hosts = {f"{name}:{sock[1]}" for name in _NAMES}
    host = request.headers.get("Host", "")
    if host not in hosts:
        return "this is not the console's address: open the one that it printed"
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return "requests from other origins are refused"
    if site not in {None, "same-origin", "none"}:
        return "requests from other sites are refused"
    if request.method not in {"GET", "HEAD"} and origin is None and site != "same-origin":
        return "the origin is unknown: Origin or Sec-Fetch-Site is missing"
    return ""
