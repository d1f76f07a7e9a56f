"""A TCP proxy on 127.0.0.1 that breaks connections: it cuts them or makes them silent.

Clients see cut connections when a server restarts. They see silent ones when a NAT or a load
balancer drops a connection: nothing comes back, no error is reported, and a new connection works.
Unlike a real one, a silent connection here still acknowledges TCP segments, so the kernel never
reports it (no TCP_USER_TIMEOUT, no retransmission limit): only the client's own timeout can.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

_CHUNK_BYTES = 1 << 18


class TcpProxy:
    """Forwards connections: `async with TcpProxy(host) as proxy` leads from `proxy.host` to `host`.

    Attributes:
        connections: how many connections it has accepted so far.
        connect_seconds: how much longer a new connection takes until it is forwarded.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        """Takes the target, like `127.0.0.1:8085`, and its own port (0: any free one)."""
        self.connections = 0
        self.connect_seconds = 0.0
        self._address, _, to = host.rpartition(":")
        self._to = int(to)
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._forwarding: set[asyncio.Task[None]] = set()

    @property
    def host(self) -> str:
        """Returns its own address, like `127.0.0.1:8085`."""
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.shut()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    async def open(self) -> None:
        """Accepts connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Cuts every connection and accepts no more until it is opened again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._open:
            connection.abort()

    def silence(self) -> None:
        """Stops forwarding on the open connections, in both directions; new ones work."""
        for connection in self._open:
            connection.is_silent = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (this is a coroutine)
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)
        self.connections += 1
        connection = _Connection([writer])
        self._open.add(connection)
        try:
            await asyncio.sleep(self.connect_seconds)
            far_reader, far_writer = await asyncio.open_connection(self._address, self._to)
            connection.writers.append(far_writer)
            if self._server is None:  # shut in the meantime
                connection.abort()
            await asyncio.gather(
                connection.forward(reader, far_writer, own=writer),
                connection.forward(far_reader, writer, own=far_writer),
            )
        except OSError:  # the server does not listen, or one side has closed
            connection.abort()
        finally:
            connection.close()
            self._open.discard(connection)


@dataclass(slots=True, eq=False)
class _Connection:
    """A client's connection and the matching one to the server."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    is_silent: bool = False

    async def forward(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, *, own: asyncio.StreamWriter
    ) -> None:
        """Forwards what arrives at one end; once silent, drops it, including its end."""
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if not self.is_silent:
                    to.write(chunk)
                    await to.drain()
        (own if self.is_silent else to).close()

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
