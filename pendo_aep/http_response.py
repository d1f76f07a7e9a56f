"""The body of a server's answer: all of it, and never more than it may have."""

from __future__ import annotations

import aiohttp


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body, however many pieces it comes in; of one over `limit` bytes nothing."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            return b""
    return bytes(body)
