"""The connection to an HTTP server: a session, whose kept-alive connections may go silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

import aiohttp

from pendo_aep.connection import Connection

HttpConnection: TypeAlias = Connection[aiohttp.ClientSession]

# AEP and IMS answer in well under a second. AEP may need several for a large batch: it is then
# posted twice, with the same ids, at most once in ten seconds.
_SILENT_SECONDS: Final = 3.0


def open_session(limit: int) -> aiohttp.ClientSession:
    """A session of up to `limit` requests at the same time, which remembers no cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit), cookie_jar=aiohttp.DummyCookieJar()
    )


def http_connection(to: str, open_session: Callable[[], aiohttp.ClientSession]) -> HttpConnection:
    """The connection to one server, by its name for the log. Nothing is opened yet.

    One connection that went silent gives up all those that its session has kept.
    """
    return Connection(to, open_session, aiohttp.ClientSession.close, silent_seconds=_SILENT_SECONDS)


# The body of a server's answer: all of it, and never more than it may have.


async def read_response(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body, however many pieces it comes in; of one over `limit` bytes nothing."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            return b""
    return bytes(body)


# The `Retry-After` header: how long a server wants to be left alone.


# What asks for more is not believed: a message waits at most ten minutes in Pub/Sub's backoff too.
_LONGEST_SECONDS = 600.0


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """The pause in seconds, from a number of seconds or an HTTP date (RFC 9110, section 10.2.3).

    0 when there is no header, or when it says nothing that can be understood.
    """
    if not header:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_SECONDS)
