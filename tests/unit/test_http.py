"""HTTP: bodies of answers, and Retry-After."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from hypothesis import example, given
from hypothesis import strategies as st

from pendo_aep.http import read_response, retry_after_seconds
from tests.cases import Case, cases, randomly


async def body_of(*pieces: bytes, limit: int = 100) -> bytes:
    """Returns what is read of a body whose pieces each arrive in a turn of the loop."""
    loop = asyncio.get_running_loop()
    connection = BaseProtocol(loop)
    connection.connection_made(asyncio.Transport())
    content = aiohttp.StreamReader(connection, 2**16, loop=loop)
    response = cast("aiohttp.ClientResponse", SimpleNamespace(content=content))
    reading = asyncio.create_task(read_response(response, limit))
    for piece in pieces:
        content.feed_data(piece)
        for _ in range(5):
            await asyncio.sleep(0)
    content.feed_eof()
    return await reading


async def test_a_body_in_pieces() -> None:
    """A body in several packets is read whole."""
    assert await body_of(b'{"access_token":"one-', b'token"}') == b'{"access_token":"one-token"}'


async def test_a_body_over_the_limit() -> None:
    """A body of exactly the limit is read; a longer one is dropped."""
    assert await body_of(b"x" * 60, b"x" * 40) == b"x" * 100
    assert await body_of(b"x" * 60, b"x" * 41) == b""


# Retry-After.


# The moment of RFC 9110's example date, without its seconds.
NOW = datetime(1994, 11, 6, 8, 49, tzinfo=UTC)
_PARTS = [
    "Sun,",
    "06",
    "Nov",
    "1994",
    "08:49:37",
    "GMT",
    "+0900",
    "-",
    ":",
    ",",
    "99999999999",
    "0",
]


@pytest.mark.parametrize("case", cases("retry_after"))
def test_header(case: Case) -> None:
    """Seconds and HTTP dates are understood, up to ten minutes; anything else is no pause."""
    assert retry_after_seconds(case["header"], lambda: NOW) == case["seconds"]


@randomly
@given(st.text(max_size=60) | st.lists(st.sampled_from(_PARTS), max_size=9).map(" ".join))
@example("9" * 5000)
@example("Sun, 06 Nov 0001 00:00:00 +2359")
@example("Sun, 31 Dec 9999 23:59:59 -2359")
def test_any_header(header: str) -> None:
    """Whatever the header says, the pause is between zero and ten minutes."""
    assert 0 <= retry_after_seconds(header, lambda: NOW) <= 600
