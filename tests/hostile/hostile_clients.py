"""Clients that send what no well-behaved client would: raw bytes on a socket, and their targets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final

import aiohttp
import psutil

from local.aep import AepServer
from local.functions import Function
from local.pipeline import SECRET
from local.pubsub import PubSubServer
from local.samples import sign
from tests.cases import Case, expand
from tests.delivery_harness import DEAD_TOPIC, TOPIC
from tests.webhooks import event, push_body, send, unique_id, webhook

# For a busy machine; nothing here takes a second by itself.
_TIMEOUT_SECONDS: Final = 60.0
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
# No two tests send the same event.
_numbers: Final[Iterator[int]] = count(100_000)


@dataclass(frozen=True, slots=True)
class ValidRequest:
    """A request that must be accepted: the ID of its event, the body and its headers."""

    event_id: str
    body: bytes
    headers: dict[str, str]

    def raw(self, more_headers: str = "", case: Case | None = None) -> bytes:
        """Returns the bytes of the request; `case` changes how it is framed."""
        return raw_request(self.body, header_lines(self.headers) + more_headers, case)


@dataclass(frozen=True, slots=True)
class Target:
    """A running function, and what stands behind it.

    Attributes:
        function: `receive` or `deliver`.
        success: The status with which it accepts something.
        server: The Pub/Sub before or behind it.
        inlet: The AEP behind `deliver`.
    """

    function: Function
    success: int
    server: PubSubServer
    inlet: AepServer

    def valid_request(self, **more: object) -> ValidRequest:
        """Returns a valid request with an event of its own; `more` are fields of the event."""
        number = next(_numbers)
        if self.function.target == "receive":
            body = webhook(number, **more)
            return ValidRequest(unique_id(number), body, sign(body, SECRET))
        name = f"hostile-{number}"
        json_type = {"Content-Type": "application/json"}
        return ValidRequest(name, push_body(event(name, **more)), json_type)

    async def serves(self, http: aiohttp.ClientSession, times: int = 20) -> None:
        """Asserts that valid requests are accepted and forwarded."""
        for _ in range(times):
            valid = self.valid_request()
            answer = await send(http, self.function.url, valid.body, **valid.headers)
            assert answer.status == self.success
            assert self.has_forwarded(valid.event_id)

    def has_forwarded(self, event_id: str) -> bool:
        """Returns whether the event is where the function sends it."""
        if self.function.target == "deliver":
            return event_id in self.inlet.distinct_ids
        return any(m.attributes.get("eventId") == event_id for m in self.server.published(TOPIC))

    @property
    def settled(self) -> int:
        """How many messages were forwarded or dead-lettered."""
        letters = len(self.server.published(DEAD_TOPIC))
        if self.function.target == "deliver":
            return letters + len(self.inlet.accepted)
        return letters + len(self.server.published(TOPIC))

    def is_dead_letter(self, event_id: str) -> bool:
        """Returns whether the event is a dead letter."""
        letters = self.server.published(DEAD_TOPIC)
        return any(letter.attributes.get("eventId") == event_id for letter in letters)


def memory_bytes(function: Function) -> int:
    """Returns the resident memory of a function's processes, which psutil finds by their port."""
    port = f"--port={function.port}"
    mine = [p for p in psutil.process_iter(["cmdline"]) if port in (p.info["cmdline"] or [])]
    return sum(process.memory_info().rss for process in mine)


class RawConnection:
    """One TCP connection to a function."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes both directions of it."""
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Writes bytes, and waits until they are sent."""
        self._writer.write(data)
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await self._writer.drain()

    def end(self) -> None:
        """Sends EOF; answers can still be read."""
        self._writer.write_eof()

    async def rest(self) -> bytes:
        """Returns everything that is answered until the function closes the connection."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await self.reader.read()

    async def answer(self) -> bytes:
        """Returns the head of one answer."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def connect(function: Function) -> AsyncIterator[RawConnection]:
    """Opens a connection, and aborts it at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", function.port, limit=2**24)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()


def statuses(answered: bytes) -> list[int]:
    """Returns the status of each answer in these bytes."""
    return [int(status) for status in _STATUS.findall(answered)]


def header_lines(headers: dict[str, str]) -> str:
    """Returns headers as lines of a request."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def raw_request(body: bytes, headers: str = "", case: Case | None = None) -> bytes:
    """Returns a request: a row of the table says how it starts, its headers and its framing."""
    case = case or {"head": [["Content-Length: {length}\r\n", 1]]}
    start = case.get("start", "POST / HTTP/1.1").replace("{long}", "a" * 100_000)
    head = [[text.replace("{length}", str(len(body))), times] for text, times in case["head"]]
    lines = [[f"{start}\r\nHost: localhost\r\n{headers}", 1], *head, ["\r\n", 1]]
    if size := case.get("chunks"):
        body = _in_chunks(body, size, expand(case.get("extension", [])))
    before: str = case.get("before", "")
    return expand(lines, latin1=True) + before.encode() + body


def _in_chunks(body: bytes, size: int, extension: bytes) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    sizes = [b"%x" % len(piece) for piece in pieces]
    sizes[0] += extension
    chunks = [b"%s\r\n%s\r\n" % pair for pair in zip(sizes, pieces, strict=True)]
    return b"".join(chunks) + b"0\r\n\r\n"
