"""The body of a server's answer: all of it, or nothing when there is too much."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import aiohttp
from aiohttp.base_protocol import BaseProtocol

from pendo_aep.http_response import read_body


async def body_of(*pieces: bytes, limit: int = 100) -> bytes:
    """What is read of a body that arrives so, each piece in a turn of the loop of its own."""
    loop = asyncio.get_running_loop()
    connection = BaseProtocol(loop)
    connection.connection_made(asyncio.Transport())
    content = aiohttp.StreamReader(connection, 2**16, loop=loop)
    response = cast("aiohttp.ClientResponse", SimpleNamespace(content=content))
    reading = asyncio.create_task(read_body(response, limit))
    for piece in pieces:
        content.feed_data(piece)
        for _ in range(5):
            await asyncio.sleep(0)
    content.feed_eof()
    return await reading


async def test_a_body_in_pieces() -> None:
    """What comes in several packets is one body: a token may well be longer than one."""
    assert await body_of(b'{"access_token":"one-', b'token"}') == b'{"access_token":"one-token"}'


async def test_a_body_over_the_limit() -> None:
    """A body of exactly the limit is read, a longer one is nothing at all."""
    assert await body_of(b"x" * 60, b"x" * 40) == b"x" * 100
    assert await body_of(b"x" * 60, b"x" * 41) == b""
