"""Sending webhooks as Pendo does: one, or a burst of many, each an event of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import aiohttp
import orjson

from local.samples import sign

MAX_BURST: Final = 10_000
# As many requests as Pendo might have open: enough for batches to form.
_AT_ONCE: Final = 64


class Signature(StrEnum):
    """How a webhook is signed."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"


class NotJson(ValueError):
    """The text cannot be made into events of their own: it is no JSON object."""


@dataclass(slots=True)
class Progress:
    """How far the bursts are; all zero when none is under way."""

    wanted: int = 0
    answered: int = 0


class WebhookSender:
    """Posts webhooks to one URL. Use it with `async with`."""

    def __init__(self, url: str, secret: str, on_change: Callable[[], None]) -> None:
        """Takes where to, the secret that is right, and whom to tell of progress."""
        self.progress = Progress()
        self._url = url
        self._secret = secret
        self._on_change = on_change
        self._bursts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> WebhookSender:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._session.close()

    async def send(self, text: str, signature: Signature, *, fresh: bool) -> tuple[int, Any]:
        """Sends one; answers the status, and what was said.

        Args:
            text: the body.
            signature: how to sign it.
            fresh: whether to make it an event of its own, by a new `uniqueId`.

        Raises:
            NotJson: `fresh`, and it is no JSON object.
            OSError: nobody listens there.
        """
        body = next(_fresh(text)) if fresh else text.encode("utf-8", "surrogatepass")
        return await self._post(body, signature)

    def burst(self, text: str, number: int, signature: Signature) -> None:
        """Starts to send so many, each an event of its own.

        Raises:
            NotJson: it is no JSON object.
        """
        bodies = _fresh(text)
        self.progress.wanted += number
        task = asyncio.create_task(self._send_all(bodies, number, signature))
        self._bursts.add(task)
        task.add_done_callback(self._ended)
        self._on_change()

    async def stop(self) -> None:
        """Ends what is under way."""
        bursts = list(self._bursts)
        for task in bursts:
            task.cancel()
        await asyncio.gather(*bursts, return_exceptions=True)

    async def _send_all(self, bodies: Iterator[bytes], number: int, signature: Signature) -> None:
        places = iter(range(number))

        async def client() -> None:
            for _ in places:
                await self._post(next(bodies), signature)
                self.progress.answered += 1
                self._on_change()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, number)):
                group.create_task(client())

    async def _post(self, body: bytes, signature: Signature) -> tuple[int, Any]:
        async with self._session.post(
            self._url, data=body, headers=self._headers(body, signature)
        ) as response:
            answer = await response.read()
        try:
            return response.status, orjson.loads(answer)
        except orjson.JSONDecodeError:
            return response.status, None

    def _headers(self, body: bytes, signature: Signature) -> dict[str, str]:
        match signature:
            case Signature.RIGHT:
                return sign(body, self._secret)
            case Signature.WRONG:
                return sign(body, f"not {self._secret}")
            case Signature.MISSING:
                return {"Content-Type": "application/json"}

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._bursts.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: nobody awaits it
        if not self._bursts:
            self.progress = Progress()
        self._on_change()


def _fresh(text: str) -> Iterator[bytes]:
    """The webhook again and again, each time with a `uniqueId` of its own.

    Raises:
        NotJson: it is no JSON object. At once, not with the first one.
    """
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"this is not JSON: {error.msg}, line {error.lineno}") from None
    if not isinstance(body, dict):
        raise NotJson("this is JSON, but not an object")

    def bodies() -> Iterator[bytes]:
        while True:
            # Pendo's are 40 hex digits.
            yield orjson.dumps(body | {"uniqueId": secrets.token_hex(20)})

    return bodies()
