"""One connection that posts requests one after the other, and opens itself again when it broke."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class NoAnswer(Exception):
    """The connection broke, could not be made, or nothing came in time."""


class Connection:
    """A connection to 127.0.0.1, for whole requests."""

    def __init__(self, port: int, patience_seconds: float) -> None:
        """Takes the port, and how long an answer may take."""
        self._port = port
        self._patience = patience_seconds
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, request: bytes) -> Answer:
        """Sends one request.

        Raises:
            NoAnswer: it may have been taken all the same.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._exchange(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoAnswer(type(error).__name__) from None

    def close(self) -> None:
        """Cuts the connection."""
        if self._ends is not None:
            self._ends[1].transport.abort()
            self._ends = None

    async def _exchange(self, request: bytes) -> Answer:
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._ends
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, found, length = head.partition(b"content-length:")
        body = await reader.readexactly(int(length.split(b"\r\n", 1)[0])) if found else b""
        if b"\r\nconnection: close" in head:
            self.close()
        return Answer(int(head[9:12]), body)
