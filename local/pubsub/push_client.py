"""A minimal HTTP/1.1 client for pushing: POSTs a body and reads the status.

aiohttp costs several times as much per request, and treats the status 102, with which an endpoint
may acknowledge, as an interim response and waits for another.
"""

import asyncio
from typing import cast
from urllib.parse import urlsplit

import httptools

_INTERIM = frozenset({100, 103})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class _Connection(asyncio.Protocol):
    """One connection with at most one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._status: int | None = None
        self._framed = False
        self.reusable = True
        self.answered = False

    async def request(self, head: bytes, body: bytes) -> int:
        """Sends a request and returns the status of its answer.

        Raises:
            ConnectionError: The connection broke, or what came back is not HTTP.
        """
        if self._transport is None or not self.reusable:
            raise ConnectionResetError("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._status = None
        self._framed = False
        self.answered = False
        self._transport.write(head + body)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.close()  # its answer must not be taken for that of the next request
            raise

    def close(self) -> None:
        """Cuts the connection."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # no request is open
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(ConnectionError(f"not HTTP: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        self._transport = None
        if self._status is not None and not self._framed:
            self._end(self._status)  # without a length, the body ends with the connection
        else:
            self._end(exc or ConnectionResetError("closed before the end of an answer"))

    # httptools

    def on_header(self, name: bytes, _value: bytes) -> None:
        """Notes whether the body has a length or chunks."""
        self._framed = self._framed or name.lower() in _FRAMING

    def on_headers_complete(self) -> None:
        """Notes the status."""
        self._status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        """Returns the status, unless a final one follows."""
        if self._status is None or self._status in _INTERIM:
            return
        # After 102 the endpoint may send the final answer that HTTP requires; it comes too late.
        if self._status == 102 or not self._parser.should_keep_alive():
            self.reusable = False
        self._end(self._status)

    def _end(self, outcome: int | Exception) -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(outcome, int):
            self._answer.set_result(outcome)
        else:
            self._answer.set_exception(outcome)


class HttpPoster:
    """Posts JSON bodies to one http:// URL, over one kept connection for each open request."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {target} HTTP/1.1\r\n"
            f"Host: {parts.netloc}\r\n"
            "Content-Type: application/json\r\n"
            "User-Agent: APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)\r\n"
            "Accept: application/json\r\n"
            "Content-Length: "
        ).encode("ascii")
        self._idle: list[_Connection] = []

    async def post(self, body: bytes) -> int:
        """Posts one body and returns the status.

        Raises:
            OSError: It cannot connect, or the connection broke.
        """
        head = b"%s%d\r\n\r\n" % (self._head, len(body))
        while self._idle:
            connection = self._idle.pop()
            if not connection.reusable:
                continue
            try:
                return await self._request(connection, head, body)
            except ConnectionError:
                # A server may close a kept connection at any time. There was no answer, and a push
                # may arrive twice, so this is not a failure of the endpoint yet.
                if connection.answered:
                    raise
        return await self._request(await self._connect(), head, body)

    def close(self) -> None:
        """Closes the idle connections; the others close with their request."""
        while self._idle:
            self._idle.pop().close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    async def _request(self, connection: _Connection, head: bytes, body: bytes) -> int:
        status = await connection.request(head, body)
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return status
