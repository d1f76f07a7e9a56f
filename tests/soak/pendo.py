"""Pendo's side: webhooks at a pace, each sent again until it is answered 2xx."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import orjson

from tests.soak.canaries import leaks_in
from tests.soak.http_client import Connection, NoAnswer
from tests.soak.ledger import Ledger
from tests.soak.plan import Pace
from tests.soak.webhooks import Sent

_CONNECTIONS: Final = 96
# `receive` gives up on Pub/Sub after eight seconds, and says so.
_PATIENCE_SECONDS: Final = 15.0
# Pendo does not say how long it waits before it sends a webhook again.
_PAUSE_SECONDS: Final = 0.5


class Pendo:
    """Sends, and notes in the ledger what it was told.

    Attributes:
        answers: how often each answer came: a status, or what broke.
        leaks: answers that hold a secret or personal data.
    """

    def __init__(self, port: int, webhook: Callable[[int], Sent], ledger: Ledger) -> None:
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

    async def _until_taken(self, connection: Connection, webhook: Sent) -> None:
        while not await self._is_taken(connection, webhook):  # noqa: ASYNC110 (nobody tells when)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _is_taken(self, connection: Connection, webhook: Sent) -> bool:
        try:
            answer = await connection.post(webhook.request)
        except NoAnswer as error:
            self.answers[str(error)] += 1
            return False
        self.answers[str(answer.status)] += 1
        if leaks_in(said := answer.body.decode("utf-8", "replace")):
            self.leaks.append(f"answered {answer.status}: {said}")
        if not 200 <= answer.status < 300:
            return False
        # A quarantined webhook has no id that Pendo would be told.
        self._ledger.told(orjson.loads(answer.body).get("id", webhook.event_id))
        return True
