"""HTTP sessions for AEP and IMS: silent connections, bounded responses, `Retry-After`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

import aiohttp

from pendo_aep.connection import Connection

HttpConnection: TypeAlias = Connection[aiohttp.ClientSession]

# AEP and IMS answer in well under a second. AEP may need several for a large batch, which is then
# posted twice, with the same ids, at most once in ten seconds.
_SILENT_SECONDS: Final = 3.0
# A longer `Retry-After` is not honoured: a message waits ten minutes at most in Pub/Sub's backoff.
_LONGEST_RETRY_AFTER_SECONDS: Final = 600.0


def open_session(limit: int) -> aiohttp.ClientSession:
    """Returns a session for up to `limit` concurrent requests, without cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit), cookie_jar=aiohttp.DummyCookieJar()
    )


def http_connection(to: str, open_session: Callable[[], aiohttp.ClientSession]) -> HttpConnection:
    """Returns the connection to the server named `to` in the log. Nothing is opened yet.

    If one TCP connection goes silent, all that its session keeps alive are given up.
    """
    return Connection(to, open_session, aiohttp.ClientSession.close, silent_seconds=_SILENT_SECONDS)


async def read_response(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Returns the whole body, or nothing if it is over `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            return b""
    return bytes(body)


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """Returns the pause in seconds that a `Retry-After` header asks for; 0 if it is unreadable.

    It is a number of seconds or an HTTP date (RFC 9110, section 10.2.3).
    """
    if not header:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_SECONDS)
