"""Published messages and failed records for the tests of verdicts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import orjson

from pendo_aep.clock import rfc3339
from pendo_aep.lake.failed_records import FailedRecord
from pendo_aep.lake.topic import PublishedMessage

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
_numbers: Final = count(1)


def published(key: str, age: timedelta = timedelta(hours=1), **attributes: str) -> PublishedMessage:
    """Returns an event as it was published, so long before `NOW`."""
    at = NOW - age
    event = {"id": key, "type": "guide.displayed", "visitorId": "ada@example.com"}
    return PublishedMessage(
        id=key,
        type="guide.displayed",
        occurred_at=at - timedelta(minutes=1),
        published_at=at,
        message_id=str(next(_numbers)),
        data=orjson.dumps({**event, "occurredAt": rfc3339(at)}),
        attributes={"eventId": key, "eventType": "guide.displayed", **attributes},
    )


def dead(key: str, **attributes: str) -> PublishedMessage:
    """Returns a dead letter of `deliver`, whose detail quotes the visitor."""
    letter = {"reason": "rejected", "stage": "deliver", "detail": "not valid: ada@example.com"}
    return published(key, timedelta(hours=1), **{**letter, **attributes})


def foreign(data: bytes) -> PublishedMessage:
    """Returns a message that is no event, under a message id of its own."""
    number = str(next(_numbers))
    at = NOW - timedelta(hours=1)
    return PublishedMessage(f"message-{number}", "", None, at, number, data, {})


def failed(key: str, code: str = "MAPPER-3700-400") -> FailedRecord:
    """Returns a record that AEP accepted, and could not map."""
    return FailedRecord(key, "mapping", code, "expected data type was: DOUBLE", "batch-1")
