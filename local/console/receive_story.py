"""What the recorder in front of `receive` tells, and what the functions log of an event."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import Any

import orjson

from local.console.records import EventRecord, Level, Status, Webhook
from local.console.state import State
from local.functions import Line
from pendo_aep.event import event_type
from pendo_aep.pendo.webhook import coerce_text


class ReceiveStory:
    """Is told of each webhook when it is answered, and of each line of the functions' logs."""

    def __init__(self, state: State) -> None:
        """Takes where to keep it."""
        self._state = state
        self._numbers = count(1)

    def webhook(self, webhook: Webhook) -> None:
        """A webhook came, and this is what `receive` answered."""
        state = self._state
        state.counts.received += 1
        state.series.received(webhook.started_at)
        answer = _object_in(webhook.answer)
        record = self._record(webhook, answer)
        record.webhooks.append(webhook)
        size = f"{len(webhook.body):,} bytes"
        state.step(record, "Pendo sent it", detail=size, at=webhook.started_at)
        said = answer.get("status") or answer.get("error") or ""
        text = f"receive answered {webhook.status}" if webhook.status else "receive is out of reach"
        level = Level.INFO if 200 <= webhook.status < 300 else Level.BAD
        state.step(record, text, detail=str(said), at=webhook.ended_at, level=level)

    def line(self, target: str, line: Line) -> None:
        """A function logged a line."""
        record = self._state.events.get(str(line.get("eventId")))
        if record is not None and line.get("message") == "message returned":
            text = f"{target} gives it back"
            self._state.step(record, text, detail=str(line.get("reason")), level=Level.WARN)

    def _record(self, webhook: Webhook, answer: dict[str, Any]) -> EventRecord:
        state, at = self._state, webhook.started_at
        match webhook.status, answer.get("status"):
            case 200, "accepted":
                key = str(answer.get("id"))
                record = state.events.get(key) or state.arrive(key, at)
                record.received_at = min(record.received_at, at)
                return record
            case 202, "quarantined":
                state.counts.quarantined += 1
                key = hashlib.sha256(webhook.body).hexdigest()
                record = state.events.get(key) or state.arrive(key, at)
                record.status = Status.DEAD
            case status, _ if 200 <= status < 300:
                state.counts.answered += 1
                record = self._of_its_own(at, Status.ANSWERED)
            case status, _ if 400 <= status < 500:
                state.counts.rejected += 1
                record = self._of_its_own(at, Status.REJECTED)
            case _:
                state.counts.unstored += 1
                record = self._of_its_own(at, Status.UNSTORED)
        body = _object_in(webhook.body)
        record.type = record.type or _type_of(body)
        record.visitor = record.visitor or coerce_text(body.get("visitorId"))
        record.reason = record.reason or str(answer.get("reason", ""))
        return record

    def _of_its_own(self, at: float, status: Status) -> EventRecord:
        record = self._state.arrive(f"webhook-{next(self._numbers)}", at)
        record.status = status
        return record


def _type_of(body: dict[str, Any]) -> str:
    name = coerce_text(body.get("event"))
    if not name:
        return "unreadable"
    return name if name == "ping" else event_type(name)


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
