"""An HTTP server that does to each request what a script says, for the load generator to meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
"""Is given the number of the request, from 0, and where to write its answer."""


async def answer(number: int, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001
    """What a well server does."""
    writer.write(OK)


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[int]:
    """Its port, while it serves requests without a body."""
    seen = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while not writer.is_closing():
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            number, seen = seen, seen + 1
            await handler(number, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
