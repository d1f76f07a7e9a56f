"""The TCP proxy: what clients see of a restart, and of a connection that went silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from local.tcp_proxy import TcpProxy

pytestmark = pytest.mark.anyio


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while line := await reader.readline():
            writer.write(line)
    writer.close()


async def _open(host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address, _, port = host.rpartition(":")
    return await asyncio.open_connection(address, int(port))


async def _is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy before a server that answers each line with the same line."""
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = echo.sockets[0].getsockname()[1]
    async with echo, TcpProxy(f"127.0.0.1:{port}") as running:
        yield running


async def test_shut_and_open_again(proxy: TcpProxy) -> None:
    """Shut, it cuts who is connected and lets nobody in; open again, it leads there as before."""
    reader, writer = await _open(proxy.host)
    writer.write(b"1\n")
    assert await reader.readline() == b"1\n"

    proxy.shut()
    assert await _is_cut(reader)
    writer.close()
    with pytest.raises(ConnectionError):
        await _open(proxy.host)

    await proxy.open()
    reader, writer = await _open(proxy.host)
    writer.write(b"3\n")
    assert await reader.readline() == b"3\n"
    writer.close()


async def test_a_silenced_connection_stays_open_and_new_ones_work(proxy: TcpProxy) -> None:
    """Nothing comes back over a silenced connection, no end and no error; a new one is served."""
    reader, writer = await _open(proxy.host)
    writer.write(b"1\n")
    assert await reader.readline() == b"1\n"

    proxy.silence()
    writer.write(b"2\n")
    fresh_reader, fresh_writer = await _open(proxy.host)
    fresh_writer.write(b"3\n")
    assert await fresh_reader.readline() == b"3\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    assert proxy.connections == 2

    writer.close()
    fresh_writer.close()
