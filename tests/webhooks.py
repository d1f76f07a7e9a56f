"""Webhooks, normalised events and push requests for tests, and an HTTP client that sends them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp
import orjson

from local.pipeline import SECRET
from local.samples import sign

# Must never appear in a log line or an error body.
VISITOR = "canary-visitor@example.com"
COMMENT = "canary comment of a visitor"
# Cloud Logging moves these out of a line's `jsonPayload` (Google: "Structured logging").
MOVED_KEYS = frozenset({"severity", "logging.googleapis.com/trace"})


def webhook(number: int = 0, **changes: object) -> bytes:
    """Returns an NPS webhook; `number` makes it an event of its own, `changes` replace fields."""
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
    """Returns Pendo's `uniqueId` of webhook `number`: 40 hex digits, as in all real bodies."""
    return hashlib.sha1(b"webhook %d" % number, usedforsecurity=False).hexdigest()


def event(event_id: str, **changes: object) -> bytes:
    """Returns a normalised event as `receive` publishes it."""
    fields = {
        "id": event_id,
        "type": "nps.submitted",
        "pendoEvent": "npsSubmitted",
        "occurredAt": "2026-01-31T09:30:00.000Z",
        "receivedAt": "2026-01-31T09:30:01.000Z",
        "visitorId": VISITOR,
        "nps": {"rating": 0, "reason": COMMENT},
        "schemaVersion": 1,
    }
    return orjson.dumps(fields | changes)


# What `raw` adds to that event.
SURVEY = {"surveyQuestions": ["rating", "reason"], "surveyAnswers": ["0", COMMENT]}


def push_body(data: bytes, **attributes: str) -> bytes:
    """Returns the body of a push request that carries a message, as Google sends it."""
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
    message |= {"messageId": "1", "publishTime": "2026-01-31T09:30:01Z"}
    return orjson.dumps({"message": message, "subscription": "projects/local/subscriptions/s"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body, parsed."""
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
    """Sends a request with these headers and no signature."""
    if isinstance(body, bytes):
        body = BytesIO(body)  # aiohttp warns about large bytes objects
    async with http.request(method, url, data=body, headers=headers) as response:
        return Answer(response.status, dict(response.headers), await response.read())


async def send_signed(
    http: aiohttp.ClientSession, url: str, body: bytes, *, secret: str = SECRET, **headers: str
) -> Answer:
    """Sends a webhook with Pendo's signature."""
    return await send(http, url, body, **sign(body, secret), **headers)
