"""Trackers: update the console's state from the events of the proxy, Pub/Sub, AEP and the logs."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import Any, Final

import orjson

from local.aep import (
    AcceptedMessage,
    AepEvent,
    ReceivedRequest,
    RefusedMessage,
    RequestRead,
    RequestStarted,
    TokenRequested,
)
from local.aep.messages import id_of
from local.console.state import (
    BatchRecord,
    DeadLetterRecord,
    EventRecord,
    Level,
    State,
    Status,
    Webhook,
)
from local.functions import Line
from local.pubsub import (
    Acked,
    DeadLettered,
    DeliveryEnded,
    DeliveryStarted,
    Event,
    Message,
    Nacked,
    Published,
)
from pendo_aep.cli.dead_letter import DeadLetter
from pendo_aep.event import event_type
from pendo_aep.pendo.webhook import coerce_text

_RETURN_REASONS: Final = {"refused": "nacked", "expired": "not acknowledged in time"}
_ACCEPTED_STATUSES: Final = (200, 207)
_ACCEPTED: Final = "Accepted by AEP"


class ReceiveTracker:
    """Tracks answered webhooks, and the log lines of the functions."""

    def __init__(self, state: State) -> None:
        """Takes the state to update."""
        self._state = state
        self._numbers = count(1)

    def webhook(self, webhook: Webhook) -> None:
        """Records a webhook and the answer of `receive`."""
        state = self._state
        state.counts.received += 1
        state.series.received(webhook.started_at)
        answer = _object_in(webhook.answer)
        record = self._record(webhook, answer)
        record.webhooks.append(webhook)
        size = f"{len(webhook.body):,} bytes"
        state.step(record, "Received from Pendo", detail=size, at=webhook.started_at)
        result = answer.get("status") or answer.get("error") or ""
        text = f"receive answered {webhook.status}" if webhook.status else "receive did not answer"
        level = Level.INFO if 200 <= webhook.status < 300 else Level.BAD
        state.step(record, text, detail=str(result), at=webhook.ended_at, level=level)

    def line(self, target: str, line: Line) -> None:
        """Records a log line of a function."""
        record = self._state.events.get(str(line.get("eventId")))
        match line.get("message"):
            case "message returned" if record is not None:
                text = f"{target} returned it"
                self._state.step(record, text, detail=str(line.get("reason")), level=Level.WARN)
            case "message delivered" if record is not None:
                ids = [f"{key} {line[key]}" for key in ("xactionId", "batchId") if line.get(key)]
                self._state.explain(record, _ACCEPTED, ", ".join(ids))

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
                record = self._without_event(at, Status.ANSWERED)
            case status, _ if 400 <= status < 500:
                state.counts.rejected += 1
                record = self._without_event(at, Status.REJECTED)
            case _:
                state.counts.unstored += 1
                record = self._without_event(at, Status.UNSTORED)
        body = _object_in(webhook.body)
        record.type = record.type or _type_of(body)
        record.visitor = record.visitor or coerce_text(body.get("visitorId"))
        record.reason = record.reason or str(answer.get("reason", ""))
        return record

    def _without_event(self, at: float, status: Status) -> EventRecord:
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


class PubSubTracker:
    """Tracks the Pub/Sub server; an observer of it.

    Args:
        state: The state to update.
        events: The path of the topic of events.
        dead: The path of the topic of dead letters.
        push: The path of the subscription of `deliver`.
        kept: The path of the subscription that keeps the dead letters.
    """

    def __init__(self, state: State, *, events: str, dead: str, push: str, kept: str) -> None:
        self._state = state
        self._events = events
        self._dead = dead
        self._push = push
        self._kept = kept

    def __call__(self, event: Event, /) -> None:
        """Handles an event."""
        if isinstance(event, Published):
            if event.topic == self._events:
                self._stored(event.message)
            elif event.topic == self._dead:
                self._dead_lettered(event.message)
        elif event.subscription == self._push:
            self._delivery(event)
        elif event.subscription == self._kept and isinstance(event, Acked):
            self._state.counts.letters -= 1
            self._state.letters.drop(event.message.id)

    def _stored(self, message: Message) -> None:
        state = self._state
        state.counts.stored += 1
        state.counts.waiting += 1
        now = state.now()
        key = _event_key(message)
        was_dead = (known := state.events.get(key)) is not None and known.status is Status.DEAD
        record = state.arrive(key, now)
        record.received_at, record.accepted_at = now, None
        record.status, record.reason = Status.WAITING, ""
        record.data = message.data
        record.type = message.attributes.get("eventType", "")
        record.visitor = _text_in(message.data, "visitorId")
        text = "Replayed onto the topic" if was_dead else "Stored on the topic"
        state.step(record, text, detail=f"message {message.id}, {len(message.data):,} bytes")

    def _dead_lettered(self, message: Message) -> None:
        state = self._state
        state.counts.letters += 1
        key = _event_key(message)
        record = state.events.get(key) or state.arrive(key, state.now())
        size = len(message.data)
        letter = DeadLetter(message.id, message.publish_time, b"", message.attributes, size)
        record.status, record.reason = Status.DEAD, letter.reason
        record.type = record.type or letter.event_type
        why = letter.reason or "reason unknown"
        state.step(record, f"Dead letter: {why}", detail=letter.detail, level=Level.BAD)
        state.letters.put(message.id, DeadLetterRecord(letter, key, state.now()))

    def _delivery(
        self, event: DeliveryStarted | DeliveryEnded | Acked | Nacked | DeadLettered
    ) -> None:
        counts = self._state.counts
        record = self._state.events.get(_event_key(event.message))
        match event:
            case DeliveryStarted():
                counts.waiting -= 1
                counts.delivering += 1
                if record is not None:
                    self._started(record, event.attempt)
            case DeliveryEnded():
                if record is not None:
                    self._answered(record, event.status)
            case Acked():
                counts.delivering -= 1
                if record is not None and record.latency is not None:
                    self._state.series.latency(self._state.now(), record.latency)
            case Nacked():
                counts.delivering -= 1
                counts.waiting += 1
                counts.returned += 1
                if record is not None:
                    self._returned(record, event)
            case DeadLettered():
                counts.waiting -= 1
        self._state.changed()

    def _started(self, record: EventRecord, attempt: int) -> None:
        record.attempts += 1
        if not record.is_settled():
            record.status = Status.DELIVERING
        which = "" if attempt == 1 else f", attempt {attempt}"
        self._state.step(record, f"Pushed to deliver{which}")

    def _answered(self, record: EventRecord, status: int | None) -> None:
        if status is None:
            self._state.step(record, "deliver did not answer", level=Level.WARN)
        else:
            level = Level.INFO if status < 300 else Level.WARN
            self._state.step(record, f"deliver answered {status}", level=level)

    def _returned(self, record: EventRecord, event: Nacked) -> None:
        if not record.is_settled():
            record.status = Status.RETRYING
        text = f"Returned to the topic: {_RETURN_REASONS[event.reason]}"
        self._state.step(record, text, level=Level.WARN)


def _event_key(message: Message) -> str:
    """Returns the event ID, or a name made from the message ID if there is none."""
    return (
        message.attributes.get("eventId") or _text_in(message.data, "id") or f"message-{message.id}"
    )


def _text_in(data: bytes, key: str) -> str:
    found = _object_in(data).get(key)
    return found if isinstance(found, str) else ""


class AepTracker:
    """Tracks the AEP stand-in; an observer of it."""

    def __init__(self, state: State) -> None:
        """Takes the state to update."""
        self._state = state

    def __call__(self, event: AepEvent, /) -> None:
        """Handles an event."""
        match event:
            case RequestStarted():
                self._state.counts.in_flight += 1
                self._state.batches.put(str(event.number), BatchRecord(event.number, event.at))
            case RequestRead():
                self._read(event)
            case AcceptedMessage():
                self._accepted(event)
            case RefusedMessage():
                self._refused(event)
            case ReceivedRequest():
                self._ended(event)
            case TokenRequested():
                self._state.counts.tokens += event.status == 200
                self._state.changed()

    def _read(self, event: RequestRead) -> None:
        ids = tuple(id_of(message) or "" for message in event.messages)
        if batch := self._state.batches.get(str(event.number)):
            batch.ids, batch.messages = ids, len(ids)
            self._state.batches.touch(str(event.number))
        others = len(ids) - 1
        batch_of = f", with {others} other{'s' if others > 1 else ''}" if others else ""
        for key, message in zip(ids, event.messages, strict=True):
            if record := self._state.events.get(key):
                record.sent = message
                self._state.step(record, f"Sent to AEP in request {event.number}{batch_of}")

    def _accepted(self, event: AcceptedMessage) -> None:
        state = self._state
        if event.id in state.accepted_ids:
            state.counts.duplicates += 1
        else:
            state.accepted_ids.add(event.id)
            state.counts.accepted += 1
        if event.id not in state.lake_ids:
            state.ingesting_ids.add(event.id)
            state.counts.ingesting = len(state.ingesting_ids)
        state.series.accepted(event.at)
        if batch := state.batches.get(str(event.request)):
            batch.accepted += 1
        if record := state.events.get(event.id):
            record.status, record.reason = Status.ACCEPTED, ""
            record.accepted_at = record.accepted_at or event.at
            state.step(record, _ACCEPTED, at=event.at, level=Level.GOOD)

    def _refused(self, event: RefusedMessage) -> None:
        if batch := self._state.batches.get(str(event.request)):
            batch.refused += 1
        if record := self._state.events.get(event.id or ""):
            text = f"Refused by AEP: {event.status}"
            self._state.step(record, text, detail=event.reason, at=event.at, level=Level.BAD)

    def _ended(self, event: ReceivedRequest) -> None:
        state = self._state
        state.counts.in_flight -= 1
        state.counts.requests += 1
        state.series.batch(event.ended_at, event.messages)
        batch = state.batches.get(str(event.number))
        if batch is None:
            state.changed()
            return
        batch.ended_at, batch.status = event.ended_at, event.status
        batch.size, batch.messages = event.size, event.messages
        state.batches.touch(str(event.number))
        if event.status in _ACCEPTED_STATUSES:
            return
        text = (
            "AEP sent no complete answer"
            if event.status is None
            else f"AEP answered {event.status}"
        )
        for key in batch.ids:
            if record := state.events.get(key):
                state.step(record, text, at=event.ended_at, level=Level.WARN)
