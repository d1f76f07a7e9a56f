"""The little HTTP that the functions share: bounded request bodies and small JSON responses.

Headers and bodies are read from ASGI directly: Starlette's accessors decode and copy what is
needed only once here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

_UNCOUNTED_BYTES: Final = 65_536
_JSON: Final = (b"content-type", b"application/json")


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
