"""A message as it was published, and what it says about its event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """A message as it was published.

    Attributes:
        id: the event's: the attribute `eventId`, else the `id` of the event, else
            `message-{message_id}`.
        type: the event's type; empty if it has none.
        occurred_at: when it happened, if the event says so.
        published_at: when Pub/Sub stored it.
        message_id: Pub/Sub's; the same for each delivery of the message.
    """

    id: str
    type: str
    occurred_at: datetime | None
    published_at: datetime
    message_id: str
    data: bytes
    attributes: Mapping[str, str]


def parse_message(pb: Any) -> PublishedMessage:
    """Returns the message that a `PubsubMessage` holds, whatever its data is."""
    attributes = dict(pb.attributes)
    event = _event(pb.data)
    return PublishedMessage(
        id=attributes.get("eventId") or _text(event.get("id")) or f"message-{pb.message_id}",
        type=attributes.get("eventType") or _text(event.get("type")),
        occurred_at=_time(event.get("occurredAt")),
        published_at=pb.publish_time.ToDatetime(UTC),
        message_id=pb.message_id,
        data=pb.data,
        attributes=attributes,
    )


def _event(data: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}  # a dead letter may carry anything
    return event if isinstance(event, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
