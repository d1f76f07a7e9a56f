"""What the benchmarks send: signed webhooks and push deliveries, each of another event."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from typing import Any

import orjson

from local.functions import PROJECT

SECRET = "benchmark-secret"  # noqa: S105 (of this machine's functions only)
_SAMPLE = PROJECT / "sample_events" / "nps_submitted_comment"
_WEBHOOK: dict[str, Any] = orjson.loads(_SAMPLE.with_suffix(".json").read_bytes())
_EVENT: dict[str, Any] = orjson.loads(_SAMPLE.with_suffix(".event.json").read_bytes())
_USUAL_BYTES = 1200


def _id() -> str:
    return hashlib.sha1(uuid.uuid4().bytes).hexdigest()  # noqa: S324 (as Pendo's ids look)


def webhook(size: int = _USUAL_BYTES) -> bytes:
    """The body of an NPS webhook of so many bytes: a long comment, or nothing but the answer.

    Raises:
        ValueError: no such webhook is so small.
    """
    properties = {**_WEBHOOK["properties"], "nps": {**_WEBHOOK["properties"]["nps"]}}
    body = {**_WEBHOOK, "uniqueId": _id(), "properties": properties}
    if len(orjson.dumps(body)) > size:
        del properties["guideProperties"], body["userAgent"]
        properties["nps"]["reason"] = ""
    missing = size - len(orjson.dumps(body))
    if missing < 0:
        raise ValueError(f"an NPS webhook has at least {size - missing} bytes, not {size}")
    properties["nps"]["reason"] += (" so it goes" * (missing // 11 + 1))[:missing]
    return orjson.dumps(body)


def event() -> dict[str, Any]:
    """The normalised event of such a webhook."""
    return {**_EVENT, "id": _id()}


def attributes(of: dict[str, Any]) -> dict[str, str]:
    """The attributes of the message that carries an event."""
    return {
        "eventId": of["id"],
        "eventType": of["type"],
        "pendoEvent": of["pendoEvent"],
        "schemaVersion": "1",
    }


def webhook_request(size: int = _USUAL_BYTES) -> bytes:
    """A whole request with a signed webhook."""
    body = webhook(size)
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    return _request(body, f"X-Pendo-Signature: {signature}\r\n")


def push_request() -> bytes:
    """A whole push delivery; with the headers of Eventarc, so that every function reads it."""
    data = event()
    message = {
        "data": base64.b64encode(orjson.dumps(data)).decode(),
        "attributes": attributes(data),
        "messageId": str(uuid.uuid4().int % 10**16),
        "publishTime": "2026-11-02T12:00:00.000Z",
    }
    subscription = "projects/local/subscriptions/pendo-events-deliver"
    return _request(
        orjson.dumps({"message": message, "subscription": subscription}),
        f"ce-id: {data['id']}\r\nce-specversion: 1.0\r\nce-source: //pubsub.googleapis.com/x\r\n"
        "ce-type: google.cloud.pubsub.topic.v1.messagePublished\r\n",
    )


def _request(body: bytes, headers: str) -> bytes:
    head = (
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body
