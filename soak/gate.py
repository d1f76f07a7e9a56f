"""A gate on the way to Pub/Sub: shut, it cuts what is open, and nobody gets through.

Pub/Sub keeps what it has stored when its front end restarts; what its clients see of that is this.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

_CHUNK_BYTES = 1 << 18


class Gate:
    """`async with Gate(host, port) as gate`: `gate.host` leads to `host` meanwhile."""

    def __init__(self, host: str, port: int) -> None:
        """Takes where it leads, as `127.0.0.1:8085`, and its own port."""
        self.host = f"127.0.0.1:{port}"
        self._address, _, to = host.rpartition(":")
        self._to = int(to)
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._led: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.shut()
        await asyncio.gather(*self._led, return_exceptions=True)

    async def open(self) -> None:
        """Lets connections through, at the same port as before."""
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self._port)

    def shut(self) -> None:
        """Cuts every connection, and takes no other."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (this is a coroutine)
        self._led.add(task)
        task.add_done_callback(self._led.discard)
        ends = [writer]
        try:
            self._writers.add(writer)
            far_reader, far_writer = await asyncio.open_connection(self._address, self._to)
            ends.append(far_writer)
            self._writers.add(far_writer)
            if self._server is None:  # shut meanwhile
                far_writer.transport.abort()
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        except OSError:  # nobody is there, or one of the two has gone
            for end in ends:
                end.transport.abort()
        finally:
            for end in ends:
                end.close()
                self._writers.discard(end)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()
