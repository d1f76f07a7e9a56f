"""One connection that posts requests one after the other, and opens itself again when it broke."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from tests.soak.fault_schedule import Pace
from tests.soak.reconciliation import Reconciliation
from tests.soak.webhooks import Webhook, has_leak


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: bytes


class NoResponse(Exception):
    """The connection broke, could not be made, or nothing came in time."""


class Connection:
    """A connection to 127.0.0.1, for whole requests."""

    def __init__(self, port: int, patience_seconds: float) -> None:
        """Takes the port, and how long an answer may take."""
        self._port = port
        self._patience = patience_seconds
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, request: bytes) -> Response:
        """Sends one request.

        Raises:
            NoAnswer: it may have been taken all the same.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._exchange(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoResponse(type(error).__name__) from None

    def close(self) -> None:
        """Cuts the connection."""
        if self._ends is not None:
            self._ends[1].transport.abort()
            self._ends = None

    async def _exchange(self, request: bytes) -> Response:
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._ends
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, found, length = head.partition(b"content-length:")
        body = await reader.readexactly(int(length.split(b"\r\n", 1)[0])) if found else b""
        if b"\r\nconnection: close" in head:
            self.close()
        return Response(int(head[9:12]), body)


# Pendo's side: webhooks at a pace, each sent again until it is answered 2xx.


_CONNECTIONS: Final = 96
# `receive` gives up on Pub/Sub after eight seconds, and says so.
_PATIENCE_SECONDS: Final = 15.0
# Pendo does not say how long it waits before it sends a webhook again.
_PAUSE_SECONDS: Final = 0.5


class LoadGenerator:
    """Sends, and notes in the ledger what it was told.

    Attributes:
        answers: how often each answer came: a status, or what broke.
        leaks: answers that hold a secret or personal data.
    """

    def __init__(
        self, port: int, webhook: Callable[[int], Webhook], ledger: Reconciliation
    ) -> None:
        """Takes the port of `receive`, what makes a webhook of its number, and the ledger."""
        self.answers: Counter[str] = Counter()
        self.leaks: list[str] = []
        self._port = port
        self._webhook = webhook
        self._ledger = ledger

    async def send(self, count: int, pace: Pace) -> None:
        """Sends so many webhooks, until each is answered 2xx.

        Each connection takes the next one when it has done with the last, and waits until it is
        due: where the machine is too slow for the pace it takes longer, and no fewer are sent.
        """
        numbers = iter(range(count))
        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONNECTIONS):
                group.create_task(self._work(numbers, pace, started))

    async def _work(self, numbers: Iterator[int], pace: Pace, started: float) -> None:
        connection = Connection(self._port, _PATIENCE_SECONDS)
        loop = asyncio.get_running_loop()
        try:
            for number in numbers:
                if (early := started + pace.due(number) - loop.time()) > 0:
                    await asyncio.sleep(early)
                webhook = self._webhook(number)
                self._ledger.sent(webhook.event_id, webhook.fingerprint, webhook.cause)
                await self._until_taken(connection, webhook)
        finally:
            connection.close()

    async def _until_taken(self, connection: Connection, webhook: Webhook) -> None:
        while not await self._is_taken(connection, webhook):  # noqa: ASYNC110 (nobody tells when)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _is_taken(self, connection: Connection, webhook: Webhook) -> bool:
        try:
            answer = await connection.post(webhook.request)
        except NoResponse as error:
            self.answers[str(error)] += 1
            return False
        self.answers[str(answer.status)] += 1
        if has_leak(said := answer.body.decode("utf-8", "replace")):
            self.leaks.append(f"answered {answer.status}: {said}")
        if not 200 <= answer.status < 300:
            return False
        # A quarantined webhook has no id that Pendo would be told.
        self._ledger.told(orjson.loads(answer.body).get("id", webhook.event_id))
        return True
