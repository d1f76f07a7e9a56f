"""Webhooks for tests: bodies of Pendo's shape, and a client that sends them as Pendo does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp
import orjson

from local.pipeline import SECRET
from local.samples import sign

# Never to be seen in a log line or an error body.
VISITOR = "canary-visitor@example.com"
COMMENT = "canary comment of a visitor"
# Cloud Logging moves these out of a line's `jsonPayload` (Google: "Structured logging").
MOVED_KEYS = frozenset({"severity", "logging.googleapis.com/trace"})


def webhook(number: int = 0, **changes: object) -> bytes:
    """An NPS answer; `number` makes it an event of its own, `changes` replace fields."""
    body = {
        "app": {"id": -323232, "name": "Acme Web", "platform": "web"},
        "accountId": "acme::42",
        "subscription": {"id": 4802463602041111, "name": "Acme"},
        "userAgent": "Mozilla/5.0",
        "event": "npsSubmitted",
        "properties": {
            "guideId": "FjHsQ7S8z0ircYxe3vO4GHawvwI",
            "guideProperties": {
                "name": "NPS",
                "createdByUser": {"username": "canary-staff@example.com"},
            },
            "guideStepId": "WkaB4F2droQ5sSqd-FvC7H9coJQ",
            "language": "en-US",
            "nps": {"rating": 9, "reason": COMMENT, "source": "web"},
        },
        "timestamp": 1760000000,
        "visitorId": VISITOR,
        "uniqueId": unique_id(number),
    }
    return orjson.dumps(body | changes)


def unique_id(number: int) -> str:
    """Pendo's `uniqueId` of webhook `number`: 40 hex digits, as in all real bodies."""
    return hashlib.sha1(b"webhook %d" % number, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read."""
        return orjson.loads(self.body)


async def send(
    http: aiohttp.ClientSession,
    url: str,
    body: Any,
    /,
    *,
    method: str = "POST",
    **headers: str,
) -> Answer:
    """Sends a request as it is, with these headers."""
    if isinstance(body, bytes):
        body = BytesIO(body)  # aiohttp warns of large bytes as they are
    async with http.request(method, url, data=body, headers=headers) as response:
        return Answer(response.status, dict(response.headers), await response.read())


async def send_signed(http: aiohttp.ClientSession, url: str, body: bytes, **headers: str) -> Answer:
    """Sends a webhook with Pendo's signature."""
    return await send(http, url, body, **sign(body, SECRET), **headers)
