"""Parses the push envelope, in which Pub/Sub sends one message to an HTTP endpoint.

Google: "Push subscriptions", wrapped delivery. An Eventarc delivery is the same JSON with `ce-*`
headers, so one parser serves both.
"""

from __future__ import annotations

import binascii
from typing import Any, NamedTuple

import orjson
import pybase64  # seven times as fast as the standard library's, and half the cost of parsing


class InvalidPushRequest(ValueError):
    """The request is not a push delivery; the text says what is missing."""


class PushedMessage(NamedTuple):
    """One message as published."""

    data: bytes
    attributes: dict[str, str]


def parse_push(body: bytes) -> PushedMessage:
    """Returns the message in a push request.

    Raises:
        InvalidPushRequest: there is no `message` with `data` or `attributes` in it.
    """
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidPushRequest("the body is not JSON") from None
    message: Any = envelope.get("message") if isinstance(envelope, dict) else None
    if not isinstance(message, dict):
        raise InvalidPushRequest("the body has no 'message' object")
    data, attributes = message.get("data", ""), message.get("attributes") or {}
    if not isinstance(data, str) or not _is_text_map(attributes):
        raise InvalidPushRequest("'message' has no 'data' in base64, or no 'attributes' of text")
    try:
        decoded = pybase64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPushRequest("'message.data' is not base64") from None
    if not decoded and not attributes:
        raise InvalidPushRequest("'message' has neither 'data' nor 'attributes'")
    return PushedMessage(decoded, attributes)


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and {str}.issuperset(map(type, value.values()))
