"""The state as JSON for the page. Times are in milliseconds, as in browsers."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import orjson

from local.console.state import (
    BatchRecord,
    DeadLetterRecord,
    EventRecord,
    Second,
    Webhook,
    percentile,
)
from local.pipeline import XDM_SETTINGS
from pendo_aep.aep.format import Xdm
from pendo_aep.event import InvalidEvent, read_event
from pendo_aep.settings import DeliverSettings

Json: TypeAlias = dict[str, Any]

MAX_MESSAGES: Final[int] = DeliverSettings.model_fields["batch_max_messages"].default
MAX_BYTES: Final[int] = DeliverSettings.model_fields["batch_max_bytes"].default

_MAX_WEBHOOKS: Final = 20
_XDM: Final = Xdm(
    schema_id=XDM_SETTINGS["AEP_SCHEMA_ID"],
    dataset_id=XDM_SETTINGS["AEP_DATASET_ID"],
    ims_org_id=XDM_SETTINGS["AEP_IMS_ORG_ID"],
    tenant_id=XDM_SETTINGS["AEP_TENANT_ID"],
    flow_id=XDM_SETTINGS["AEP_FLOW_ID"],
)


def event_row(record: EventRecord) -> Json:
    """Returns a row of the list of events."""
    return {
        "key": record.key,
        "order": record.order,
        "type": record.type,
        "visitor": record.visitor,
        "status": record.status,
        "reason": record.reason,
        "attempts": record.attempts,
        "at": record.received_at * 1000,
        "latency": _milliseconds(record.latency),
    }


def event_detail(record: EventRecord) -> Json:
    """Returns everything about one event. Bodies stay text, so the page shows them unchanged."""
    return event_row(record) | {
        "webhooks": [_webhook(webhook) for webhook in reversed(record.webhooks)],
        "event": _text(record.data) if record.data is not None else None,
        "sent": _text(orjson.dumps(record.sent)) if record.sent is not None else None,
        "xdm": _xdm(record.data),
        "steps": [
            {
                "at": step.at * 1000,
                "text": step.text,
                "detail": step.detail,
                "level": step.level,
            }
            for step in sorted(record.steps, key=lambda step: step.at)
        ],
    }


def webhooks(records: Iterable[EventRecord], event: str) -> list[Json]:
    """Returns the last recorded webhooks, newest first.

    Args:
        records: All events.
        event: Only those of this type, or of events whose ID starts with it; empty for all.
    """
    found = [
        (webhook, record)
        for record in records
        for webhook in record.webhooks
        if record.type == event or record.key.startswith(event)
    ]
    found.sort(key=lambda pair: pair[0].started_at, reverse=True)
    return [
        {
            "key": record.key,
            "type": record.type,
            "at": webhook.started_at * 1000,
            "body": b64encode(webhook.body).decode(),
        }
        for webhook, record in found[:_MAX_WEBHOOKS]
    ]


def batch_row(batch: BatchRecord) -> Json:
    """Returns a row of the list of batches; `fill` is relative to the nearer limit."""
    fill = max(batch.messages / MAX_MESSAGES, batch.size / MAX_BYTES)
    ended = batch.ended_at
    return {
        "key": str(batch.number),
        "order": batch.number,
        "at": batch.started_at * 1000,
        "duration": None if ended is None else (ended - batch.started_at) * 1000,
        "messages": batch.messages,
        "size": batch.size,
        "fill": fill,
        "accepted": batch.accepted,
        "refused": batch.refused,
        "status": batch.status,
    }


def letter_row(record: DeadLetterRecord) -> Json:
    """Returns a row of the list of dead letters."""
    letter = record.letter
    return {
        "key": letter.message_id,
        "order": record.at,
        "event": record.event_key,
        "type": letter.event_type,
        "reason": letter.reason,
        "detail": letter.detail,
        "stage": letter.stage,
        "at": record.at * 1000,
        "size": letter.size,
    }


def second_row(second: Second) -> Json:
    """Returns one second of the charts."""
    return {
        "at": second.at,
        "received": second.received,
        "accepted": second.accepted,
        "batch": second.messages / second.batches if second.batches else None,
        "p50": _milliseconds(percentile(second.latencies, 0.5)),
        "p95": _milliseconds(percentile(second.latencies, 0.95)),
    }


def _webhook(webhook: Webhook) -> Json:
    return {
        "method": webhook.method,
        "path": webhook.path,
        "headers": webhook.headers,
        "body": _text(webhook.body),
        "at": webhook.started_at * 1000,
        "duration": (webhook.ended_at - webhook.started_at) * 1000,
        "status": webhook.status,
        "answer": _text(webhook.answer),
    }


def _xdm(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return _text(orjson.dumps(_XDM.entity(read_event(data))))
    except (InvalidEvent, orjson.JSONEncodeError):
        return None


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
