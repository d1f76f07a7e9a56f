"""The recorder's connections to `receive`."""

from __future__ import annotations

import asyncio

import aiohttp

from local.console.records import Webhook
from local.console.tap import recording


async def test_a_connection_that_receive_has_closed_costs_no_webhook(
    http: aiohttp.ClientSession,
) -> None:
    """A webhook after a pause, in which `receive` gave its idle connections up, is answered."""

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        # It seems to be kept alive, and ends when it is used again.
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    seen: list[Webhook] = []
    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with recording(url, seen.append, port=0, or_any=False) as recorder:
            for _ in range(2):
                async with http.post(recorder) as response:
                    assert response.status == 200

    assert [webhook.status for webhook in seen] == [200, 200]
