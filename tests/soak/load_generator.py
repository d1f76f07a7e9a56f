"""The load generator: sends webhooks at a pace, each until it is answered 2xx, as Pendo does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from tests.soak.reconciliation import Reconciliation
from tests.soak.webhooks import Webhook, has_leak

_CONNECTIONS: Final = 96
# `receive` gives up on Pub/Sub after eight seconds, and says so.
_TIMEOUT_SECONDS: Final = 15.0
# Pendo does not say how long it waits before it sends a webhook again.
_PAUSE_SECONDS: Final = 0.5
_ROUND_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When webhooks come: for five seconds steadily, then as many again within one second.

    Attributes:
        rate: webhooks a second, on average.
    """

    rate: float

    def due(self, number: int) -> float:
        """Returns when webhook `number` comes, in seconds from the start; the first is number 0."""
        rounds, within = divmod(number / self.rate, _ROUND_SECONDS)
        half = _ROUND_SECONDS / 2
        return rounds * _ROUND_SECONDS + (within if within < half else half + (within - half) / 5)


class LoadGenerator:
    """Sends webhooks and records the answers.

    Attributes:
        answers: how often each answer came: a status, or the error.
        leaks: answers that hold a secret or personal data.
    """

    def __init__(
        self, port: int, webhook: Callable[[int], Webhook], reconciliation: Reconciliation
    ) -> None:
        """Takes the port of `receive`, and what makes the webhook of a number."""
        self.answers: Counter[str] = Counter()
        self.leaks: list[str] = []
        self._port = port
        self._webhook = webhook
        self._reconciliation = reconciliation

    async def send(self, count: int, pace: Pace) -> None:
        """Sends so many webhooks, until each is answered 2xx.

        Each connection takes the next webhook when it has finished the last, and waits until it is
        due. Where the machine is too slow for the pace, sending takes longer; no fewer are sent.
        """
        numbers = iter(range(count))
        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONNECTIONS):
                group.create_task(self._work(numbers, pace, started))

    async def _work(self, numbers: Iterator[int], pace: Pace, started: float) -> None:
        connection = Connection(self._port, _TIMEOUT_SECONDS)
        loop = asyncio.get_running_loop()
        try:
            for number in numbers:
                if (early := started + pace.due(number) - loop.time()) > 0:
                    await asyncio.sleep(early)
                webhook = self._webhook(number)
                self._reconciliation.sent(webhook.event_id, webhook.fingerprint, webhook.cause)
                while not await self._is_accepted(connection, webhook):  # noqa: ASYNC110 (no event)
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            connection.close()

    async def _is_accepted(self, connection: Connection, webhook: Webhook) -> bool:
        try:
            status, body = await connection.post(webhook.request)
        except NoResponse as error:
            self.answers[str(error)] += 1
            return False
        self.answers[str(status)] += 1
        if has_leak(text := body.decode("utf-8", "replace")):
            self.leaks.append(f"answered {status}: {text}")
        if not 200 <= status < 300:
            return False
        # The answer to a quarantined webhook has no id.
        self._reconciliation.told(orjson.loads(body).get("id", webhook.event_id))
        return True


class NoResponse(Exception):
    """The connection broke or could not be made, or nothing came in time."""


class Connection:
    """A connection to 127.0.0.1 that posts whole requests one by one, and reconnects if it broke.

    Cheaper than an HTTP client's: the load shares two cores with all it is put on.
    """

    def __init__(self, port: int, timeout_seconds: float) -> None:
        """Takes the port, and how long an answer may take."""
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, request: bytes) -> tuple[int, bytes]:
        """Sends one request and returns the status and the body of the answer.

        Raises:
            NoResponse: The request may have been received all the same.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._exchange(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoResponse(type(error).__name__) from None

    def close(self) -> None:
        """Aborts the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, found, length = head.partition(b"content-length:")
        body = await reader.readexactly(int(length.split(b"\r\n", 1)[0])) if found else b""
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), body
