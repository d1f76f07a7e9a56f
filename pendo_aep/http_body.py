"""Reading the body of a request, never more of it than it may have."""

from __future__ import annotations

from starlette.requests import Request


class BodyTooLarge(Exception):
    """The body is over the limit; what was read of it is dropped."""


async def read_body(request: Request, limit: int) -> bytes:
    """The raw bytes of the body.

    Raises:
        BodyTooLarge: it says that it is over `limit` bytes, or turns out to be.
        starlette.requests.ClientDisconnect: the client went away before it had sent all.
    """
    # The server has checked that a Content-Length is a number, and holds the client to it.
    if int(request.headers.get("content-length", 0)) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)
