"""Requests as bytes on a socket, for what no client would send."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from local.functions import Function
from tests.cases import Case
from tests.hostile.tables import written_out

# Patience with a busy machine; nothing here takes a second by itself.
SECONDS = 60.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class Wire:
    """One connection to a function."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes both ends of it."""
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Writes, until it is on its way."""
        self._writer.write(data)
        async with asyncio.timeout(SECONDS):
            await self._writer.drain()

    def end(self) -> None:
        """Says that nothing more will come, and still listens."""
        self._writer.write_eof()

    async def rest(self) -> bytes:
        """All that is answered until the function hangs up."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def answer(self) -> bytes:
        """The head of one answer."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def wire(function: Function) -> AsyncIterator[Wire]:
    """A connection, until the end of the block; then it is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", function.port, limit=2**24)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def statuses(answered: bytes) -> list[int]:
    """The statuses of all answers in these bytes."""
    return [int(status) for status in _STATUS.findall(answered)]


def request(body: bytes, headers: str, case: Case | None = None) -> bytes:
    """A request of the table: how it starts, its headers and how the body is sent."""
    case = case or {"head": [["Content-Length: {length}\r\n", 1]]}
    start = case.get("start", "POST / HTTP/1.1").replace("{long}", "a" * 100_000)
    head = [[text.replace("{length}", str(len(body))), times] for text, times in case["head"]]
    lines = [[f"{start}\r\nHost: localhost\r\n{headers}", 1], *head, ["\r\n", 1]]
    if size := case.get("chunks"):
        body = _in_chunks(body, size, written_out(case.get("extension", [])))
    before: str = case.get("before", "")
    return written_out(lines, latin1=True) + before.encode() + body


def _in_chunks(body: bytes, size: int, extension: bytes) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    sizes = [b"%x" % len(piece) for piece in pieces]
    sizes[0] += extension
    chunks = [b"%s\r\n%s\r\n" % pair for pair in zip(sizes, pieces, strict=True)]
    return b"".join(chunks) + b"0\r\n\r\n"
