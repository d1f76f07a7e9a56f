"""What a function needs of its request: the headers, and the body, never more than it may have.

Straight from ASGI: Starlette's own accessors decode and copy what is looked at once here.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request


class BodyTooLarge(Exception):
    """The body is over the limit; what was read of it is dropped."""


def headers_of(request: Request) -> dict[bytes, bytes]:
    """The headers by their lower-case names; of one that came twice, the last."""
    return dict(request.scope["headers"])


def header_values(request: Request, name: bytes) -> list[str]:
    """Every value of a header, by its lower-case name, in the order of the request."""
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]


async def read_body(request: Request, limit: int) -> bytes:
    """The raw bytes of the body.

    Raises:
        BodyTooLarge: it says that it is over `limit` bytes, or turns out to be.
        starlette.requests.ClientDisconnect: the client went away before it had sent all.
    """
    # The server has checked that a Content-Length is a number, and holds the client to it.
    if int(headers_of(request).get(b"content-length", 0)) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
