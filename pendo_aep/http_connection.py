"""The connection to an HTTP server: a session, whose kept-alive connections may go silent."""

from __future__ import annotations

from collections.abc import Callable
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
