"""The gate: what Pub/Sub's clients see of a restart."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress

import pytest

from soak.gate import Gate
from soak.ports import lasting_ports

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


async def test_shut_and_open_again() -> None:
    """Shut, it cuts who is connected and lets nobody in; open again, it leads there as before."""
    echo = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = echo.sockets[0].getsockname()[1]
    with closing(lasting_ports()) as ports:
        gate_port = next(ports)
    async with echo, Gate(f"127.0.0.1:{port}", gate_port) as gate:
        reader, writer = await _open(gate.host)
        writer.write(b"1\n")
        assert await reader.readline() == b"1\n"

        gate.shut()
        assert await _is_cut(reader)
        writer.close()
        with pytest.raises(ConnectionError):
            await _open(gate.host)

        await gate.open()
        reader, writer = await _open(gate.host)
        writer.write(b"3\n")
        assert await reader.readline() == b"3\n"
        writer.close()


def test_two_soaks_have_ports_of_their_own() -> None:
    """A port that a soak waits for is none that another takes, until that soak has ended."""
    with closing(lasting_ports()) as one, closing(lasting_ports()) as another:
        first = next(one)
        assert next(another) != first
    with closing(lasting_ports()) as again:
        assert next(again) == first
