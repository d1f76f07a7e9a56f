"""A load generator: so many connections, each sends its next request when the last is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

_PATIENCE_SECONDS = 120.0


class LoadFailed(Exception):
    """A request was not answered 2xx, or not at all: what was measured is not what was meant."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What a number of requests came to, as who sent them sees it.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: in seconds, of every answer that came, in the order of their coming.
        errors: of each request that got no 2xx, what it got.
        reconnects: how often the server had closed a connection that was not in use.
    """

    seconds: float
    latencies: Sequence[float]
    errors: Sequence[str]
    reconnects: int

    def raise_for_errors(self) -> None:
        """Raises LoadFailed if a request got no 2xx, with the first of what they got."""
        if self.errors:
            count, first = len(self.errors), self.errors[0]
            raise LoadFailed(f"{count} requests were not answered 2xx; the first got {first}")


async def send(port: int, requests: Sequence[bytes], connections: int) -> Burst:
    """Sends whole HTTP/1.1 requests to 127.0.0.1, over at most so many connections at a time.

    Raises:
        LoadFailed: nobody listens, or answers do not come.
    """
    tally = _Tally(iter(requests))
    clients = [_Client(port, tally) for _ in range(min(connections, len(requests)))]
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(client.run() for client in clients))
    except (TimeoutError, OSError) as error:
        answered = f"{len(tally.latencies)} of {len(requests)} requests are answered"
        raise LoadFailed(f"{answered}, then {type(error).__name__}") from None
    finally:
        for client in clients:
            client.close()
    seconds = time.perf_counter() - started
    return Burst(seconds, tally.latencies, tally.errors, tally.reconnects)


@dataclass(slots=True)
class _Tally:
    """What the connections share: the requests to come, and what became of those that went."""

    requests: Iterator[bytes]
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reconnects: int = 0


class _Client(asyncio.Protocol):
    """One connection at a time, one request at a time, until there are no more."""

    def __init__(self, port: int, tally: _Tally) -> None:
        self._port = port
        self._tally = tally
        self._request = next(tally.requests, None)
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self._received = b""
        self._is_fresh = True
        self._sent_at = 0.0

    async def run(self) -> None:
        """Sends what there is; opens a connection as often as the server closes it."""
        loop = asyncio.get_running_loop()
        self._sent_at = time.perf_counter()
        while self._request is not None:
            self._lost.clear()
            self._received, self._is_fresh = b"", True
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            await self._lost.wait()

    def close(self) -> None:
        """Closes the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it
        self._write()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = _end_of_answer(self._received)
        if end is None:
            return
        answer, self._received = self._received[:end], self._received[end:]
        now = time.perf_counter()
        self._tally.latencies.append(now - self._sent_at)
        if not answer.startswith(b"HTTP/1.1 2"):
            self._tally.errors.append(repr(answer[:200]))
        self._is_fresh = False
        self._request, self._sent_at = next(self._tally.requests, None), now
        self._write()

    def connection_lost(self, error: Exception | None) -> None:
        # A server may close an idle connection just as a request is on its way: it is sent again.
        if self._request is not None and not self._is_fresh and not self._received:
            self._tally.reconnects += 1
        elif self._request is not None:
            self._tally.errors.append(f"no answer, the connection broke: {error}")
            self._request, self._sent_at = next(self._tally.requests, None), time.perf_counter()
        self._lost.set()

    def _write(self) -> None:
        assert self._transport is not None  # noqa: S101 (it has been made)
        if self._request is None:
            self._transport.abort()
        else:
            self._transport.write(self._request)


def _end_of_answer(received: bytes) -> int | None:
    """Where the answer ends; None when it has not all come yet."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    headers = received[:head].lower()
    if headers.startswith(b"http/1.1 204"):
        return head + 4
    at = headers.find(b"content-length:")
    if at < 0:
        raise LoadFailed(f"an answer without a Content-Length: {received[:200]!r}")
    end = head + 4 + int(headers[at + 15 :].split(b"\r\n", 1)[0])
    return end if len(received) >= end else None
