"""What a function needs of its request: the headers, and the body, never more than it may have.

Straight from ASGI: Starlette's own accessors decode and copy what is looked at once here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

_UNCOUNTED_BYTES: Final = 65_536


class BodyTooLarge(Exception):
    """The body is over the limit; what was read of it is dropped."""


class BodyMemoryFull(Exception):
    """The bodies of other requests hold too much memory; what was read of this one is dropped."""


def headers_of(request: Request) -> dict[bytes, bytes]:
    """The headers by their lower-case names; of one that came twice, the last."""
    return dict(request.scope["headers"])


def header_values(request: Request, name: bytes) -> list[str]:
    """Every value of a header, by its lower-case name, in the order of the request."""
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]


class BodyMemory:
    """Bounds the memory that the bodies of an instance hold together, beyond 64 KB each.

    The usual webhook has a few kilobytes: it is never counted, and strangers with large bodies
    cannot keep it out.
    """

    __slots__ = ("free_bytes",)

    def __init__(self, max_bytes: int) -> None:
        """Takes the bound; it must be larger than any single body may be."""
        self.free_bytes = max_bytes

    def share(self) -> MemoryShare:
        """The share of one body, for a `with` block that lasts as long as the body is held."""
        return MemoryShare(self)


class MemoryShare:
    """What one body holds; it gives all of it back at the end of its `with` block."""

    __slots__ = ("_held", "_memory")

    def __init__(self, memory: BodyMemory) -> None:
        """Takes the memory to share."""
        self._memory = memory
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def hold(self, size: int) -> None:
        """Makes room for a body that has grown to `size` bytes.

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
    """The raw bytes of the body.

    Args:
        request: the request, whose body nobody has read yet.
        limit: how many bytes the body may have.
        share: where the bytes are counted; without one, they are not.

    Raises:
        BodyTooLarge: it says that it is over `limit` bytes, or turns out to be.
        BodyMemoryFull: `share` has no room for it.
        starlette.requests.ClientDisconnect: the client went away before it had sent all.
    """
    # The server has checked that a Content-Length is a number, and holds the client to it.
    if int(headers_of(request).get(b"content-length", 0)) > limit:
        raise BodyTooLarge
    # Not a list of pieces: a sender of tiny ones would make each cost many times what it holds.
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


# The answers of the functions: a status, a small JSON body, nothing negotiated.


_JSON = (b"content-type", b"application/json")


class JsonResponse(Response):
    """A response whose headers are known beforehand; Starlette's own works them out each time."""

    def __init__(
        self,
        status: int,
        body: Mapping[str, object] | None = None,
        *headers: tuple[bytes, bytes],
    ) -> None:
        """Takes the status, what the body says as JSON (None: no body), and further headers."""
        self.status_code = status
        self.background = None
        self.body = b"" if body is None else orjson.dumps(body)
        self.raw_headers = [*headers]
        if body is not None:
            self.raw_headers.append(_JSON)
        if status != 204:  # which has no body, and says so by itself (RFC 9110, 8.6)
            self.raw_headers.append((b"content-length", b"%d" % len(self.body)))
