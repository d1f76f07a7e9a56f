"""Who may ask the console what: a browser on this machine that has the console's own page open.

What it shows is personal data, and what it does is real, so that three things are refused: a name
that leads to 127.0.0.1 but is not ours (DNS rebinding), a request that a page of another origin
makes (cross-site request forgery), and a form, which needs no script.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

_NAMES: Final = ("127.0.0.1", "localhost")
# No inline script or style, nothing from elsewhere, no HTML made of text, no frame around it.
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


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what the page of this console would not ask."""
    if problem := wrong_in(request):
        return web.json_response({"error": problem}, status=403, headers=HEADERS)
    if request.method == "POST" and request.content_type != "application/json":
        told = {"error": "send JSON, with Content-Type: application/json"}
        return web.json_response(told, status=415, headers=HEADERS)
    return await handler(request)


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Puts the headers on every answer, streamed ones too."""
    response.headers.update(HEADERS)


def wrong_in(request: web.Request) -> str:
    """Why the request is not one of our own page's; empty if it may be."""
    sock = request.get_extra_info("sockname")
    hosts = {f"{name}:{sock[1]}" for name in _NAMES}
    host = request.headers.get("Host", "")
    if host not in hosts:
        return "open the console by the address that it printed: this is not its name"
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return "requests from other origins are refused"
    if site not in {None, "same-origin", "none"}:
        return "requests from other sites are refused"
    if request.method not in {"GET", "HEAD"} and origin is None and site != "same-origin":
        return "say where this comes from: Origin or Sec-Fetch-Site is missing"
    return ""
