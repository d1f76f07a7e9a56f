"""The load: signed webhooks and push deliveries, and the connections that send them.

Each connection sends its next request when the last one is answered.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from local.functions import PROJECT
from local.samples import sign
from pendo_aep.event import Event, message_attributes

SECRET = "benchmark-secret"  # noqa: S105 (of this machine's functions only)
_SAMPLE = PROJECT / "sample_events" / "nps_submitted_comment"
_WEBHOOK: dict[str, Any] = orjson.loads(_SAMPLE.with_suffix(".json").read_bytes())
_EVENT: Event = orjson.loads(_SAMPLE.with_suffix(".event.json").read_bytes())
_USUAL_BYTES = 1200
_TIMEOUT_SECONDS = 120.0


def webhook(size: int = _USUAL_BYTES) -> bytes:
    """Returns the body of an NPS webhook of exactly `size` bytes, with an id of its own.

    The size comes from a long comment, or from leaving out all but the answer.

    Raises:
        ValueError: No NPS webhook is so small.
    """
    properties = {**_WEBHOOK["properties"], "nps": {**_WEBHOOK["properties"]["nps"]}}
    body = {**_WEBHOOK, "uniqueId": _unique_id(), "properties": properties}
    if len(orjson.dumps(body)) > size:
        del properties["guideProperties"], body["userAgent"]
        properties["nps"]["reason"] = ""
    missing = size - len(orjson.dumps(body))
    if missing < 0:
        raise ValueError(f"an NPS webhook has at least {size - missing} bytes, not {size}")
    properties["nps"]["reason"] += (" so it goes" * (missing // 11 + 1))[:missing]
    return orjson.dumps(body)


def event() -> Event:
    """Returns the normalised event of such a webhook."""
    return {**_EVENT, "id": _unique_id()}


def webhook_request(size: int = _USUAL_BYTES) -> bytes:
    """Returns a whole HTTP request with a signed webhook."""
    body = webhook(size)
    return post_request(body, sign(body, SECRET))


def push_request() -> bytes:
    """Returns a whole push delivery; with Eventarc's headers, so that every function reads it."""
    data = event()
    message = {
        "data": base64.b64encode(orjson.dumps(data)).decode(),
        "attributes": message_attributes(data),
        "messageId": str(secrets.randbelow(10**16)),
        "publishTime": "2026-11-02T12:00:00.000Z",
    }
    subscription = "projects/local/subscriptions/pendo-events-deliver"
    headers = {
        "Content-Type": "application/json",
        "ce-id": data["id"],
        "ce-specversion": "1.0",
        "ce-source": "//pubsub.googleapis.com/x",
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    }
    return post_request(orjson.dumps({"message": message, "subscription": subscription}), headers)


def post_request(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Returns a whole HTTP/1.1 POST request to 127.0.0.1."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


def _unique_id() -> str:
    return secrets.token_hex(20)  # 40 hex digits, as Pendo's ids have


class LoadFailed(Exception):
    """A request got no answer, or one that is not 2xx, so the measurement is void."""


@dataclass(frozen=True, slots=True)
class Burst:
    """The outcome of a number of requests, as their sender sees it.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: in seconds, of every answer, in the order of arrival.
        errors: what each request got that was not answered 2xx.
        reconnects: how often the server had closed an idle connection.
    """

    seconds: float
    latencies: Sequence[float]
    errors: Sequence[str]
    reconnects: int

    def raise_for_errors(self) -> None:
        """Raises LoadFailed with the first error, if a request was not answered 2xx."""
        if self.errors:
            count, first = len(self.errors), self.errors[0]
            raise LoadFailed(f"{count} requests were not answered 2xx; the first got {first}")


async def send(port: int, requests: Sequence[bytes], connections: int) -> Burst:
    """Sends whole HTTP/1.1 requests to 127.0.0.1, over at most so many connections at a time.

    Raises:
        LoadFailed: Nothing listens on the port, or answers do not come.
    """
    tally = _Tally(iter(requests))
    clients = [_Client(port, tally) for _ in range(min(connections, len(requests)))]
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
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
    """State that the connections share: the requests left, and the outcome of those sent."""

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
        """Sends the requests that are left; reconnects when the server closes the connection."""
        loop = asyncio.get_running_loop()
        self._sent_at = time.perf_counter()
        while self._request is not None:
            self._lost.clear()
            self._received, self._is_fresh = b"", True
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            await self._lost.wait()

    def close(self) -> None:
        """Aborts the connection."""
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
        # A server may close an idle connection while a request is on its way: send it again.
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
    """Returns where the answer ends; None while it is incomplete."""
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
