"""The little HTTP that the functions share: request bodies, JSON responses, and HTTP sessions.

Headers and bodies of requests are read from ASGI directly: Starlette's accessors decode and copy
what is needed only once here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pendo_aep import clock
from pendo_aep.connection import Connection

if TYPE_CHECKING:
    import aiohttp

HttpConnection: TypeAlias = "Connection[aiohttp.ClientSession]"

_UNCOUNTED_BYTES: Final = 65_536
_JSON: Final = (b"content-type", b"application/json")
# AEP and IMS answer in well under a second. AEP may need several for a large batch, which is then
# posted twice, with the same ids, at most once in ten seconds.
_SILENT_SECONDS: Final = 3.0
# A longer `Retry-After` is not honoured: a message waits ten minutes at most in Pub/Sub's backoff.
_LONGEST_RETRY_AFTER_SECONDS: Final = 600.0


class BodyTooLarge(Exception):
    """The body is over the limit; what was read is discarded."""


class BodyMemoryFull(Exception):
    """Other requests' bodies hold too much memory; what was read of this one is discarded."""


def headers_of(request: Request) -> dict[bytes, bytes]:
    """Returns the headers by their lower-case names; of a repeated one, the last value."""
    return dict(request.scope["headers"])


def header_values(request: Request, name: bytes) -> list[str]:
    """Returns every value of a header, given in lower case, in the order of the request."""
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]


class BodyMemory:
    """Bounds the memory that the request bodies of an instance hold together.

    The first 64 KB of each body are not counted. A usual webhook has a few kilobytes, so strangers
    with large bodies cannot keep it out.
    """

    __slots__ = ("free_bytes",)

    def __init__(self, max_bytes: int) -> None:
        """Takes the bound, which must be larger than the largest body allowed."""
        self.free_bytes = max_bytes

    def share(self) -> MemoryShare:
        """Returns the share of one body, for a `with` block that lasts while the body is held."""
        return MemoryShare(self)


class MemoryShare:
    """The memory counted for one body; released at the end of its `with` block."""

    __slots__ = ("_held", "_memory")

    def __init__(self, memory: BodyMemory) -> None:
        """Takes the memory to share."""
        self._memory = memory
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def hold(self, size: int) -> None:
        """Counts a body that has grown to `size` bytes.

        Raises:
            BodyMemoryFull: the other bodies hold too much.
        """
        more = size - _UNCOUNTED_BYTES - self._held
        if more <= 0:
            return
        if more > self._memory.free_bytes:
            raise BodyMemoryFull
        self._memory.free_bytes -= more
        self._held += more

    def __exit__(self, *_: object) -> None:
        self._memory.free_bytes += self._held


async def read_body(request: Request, limit: int, share: MemoryShare | None = None) -> bytes:
    """Returns the raw bytes of the body.

    Args:
        request: the request; nothing may have read its body before.
        limit: how many bytes the body may have.
        share: where the bytes are counted; without one, they are not.

    Raises:
        BodyTooLarge: its Content-Length or its bytes exceed `limit`.
        BodyMemoryFull: `share` has no room for it.
        starlette.requests.ClientDisconnect: the client left before it had sent everything.
    """
    # The server has checked that a Content-Length is a number, and holds the client to it.
    if int(headers_of(request).get(b"content-length", 0)) > limit:
        raise BodyTooLarge
    # Not a list of chunks: with tiny ones, each would cost many times the bytes it holds.
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size = len(body) + len(chunk)
        if size > limit:
            raise BodyTooLarge
        if share is not None:
            share.hold(size)
        more = message.get("more_body")
        if not body and not more:
            return chunk  # in one piece, as nearly all are
        body += chunk
        if not more:
            return bytes(body)


class JsonResponse(Response):
    """A response with a small JSON body; Starlette's own computes its headers each time."""

    def __init__(
        self,
        status: int,
        body: Mapping[str, object] | None = None,
        *headers: tuple[bytes, bytes],
    ) -> None:
        """Takes the status, the JSON body (None: no body) and further headers."""
        self.status_code = status
        self.background = None
        self.body = b"" if body is None else orjson.dumps(body)
        self.raw_headers = [*headers]
        if body is not None:
            self.raw_headers.append(_JSON)
        if status != 204:  # a 204 has no body and no Content-Length (RFC 9110, 8.6)
            self.raw_headers.append((b"content-length", b"%d" % len(self.body)))


def open_session(limit: int) -> aiohttp.ClientSession:
    """Returns a session for up to `limit` concurrent requests, without cookies."""
    import aiohttp  # `receive` does not need it

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit), cookie_jar=aiohttp.DummyCookieJar()
    )


def http_connection(to: str, open_session: Callable[[], aiohttp.ClientSession]) -> HttpConnection:
    """Returns the connection to the server named `to` in the log. Nothing is opened yet.

    If one TCP connection goes silent, all that its session keeps alive are given up.
    """
    return Connection(
        to, open_session, lambda session: session.close(), silent_seconds=_SILENT_SECONDS
    )


async def read_response(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Returns the whole body, or nothing if it is over `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            return b""
    return bytes(body)


def retry_after_seconds(header: str | None, now: Callable[[], datetime] = clock.now) -> float:
    """Returns the pause in seconds that a `Retry-After` header asks for; 0 if it is unreadable.

    It is a number of seconds or an HTTP date (RFC 9110, section 10.2.3).
    """
    if not header:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now()).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_SECONDS)
