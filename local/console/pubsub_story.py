"""What Pub/Sub tells: what is stored, delivered, handed back, and what becomes a dead letter."""

from __future__ import annotations

from typing import Final

import orjson

from local.console.records import EventRecord, LetterRecord, Level, Status
from local.console.state import State
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

_REASONS: Final = {"refused": "handed back", "expired": "not acknowledged in time"}


class PubSubStory:
    """An observer of the Pub/Sub server.

    Args:
        state: where to keep it.
        events: the path of the topic of events.
        dead: the path of the topic of dead letters.
        push: the path of the subscription of `deliver`.
        kept: the path of the subscription that keeps the dead letters.
    """

    def __init__(self, state: State, *, events: str, dead: str, push: str, kept: str) -> None:
        self._state = state
        self._events = events
        self._dead = dead
        self._push = push
        self._kept = kept

    def __call__(self, event: Event, /) -> None:
        """Takes note of an event."""
        if isinstance(event, Published):
            if event.topic == self._events:
                self._stored(event.message)
            elif event.topic == self._dead:
                self._buried(event.message)
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
        key = key_of(message)
        was_dead = (known := state.events.get(key)) is not None and known.status is Status.DEAD
        record = state.arrive(key, now)
        record.received_at, record.accepted_at = now, None
        record.status, record.reason = Status.WAITING, ""
        record.data = message.data
        record.type = message.attributes.get("eventType", "")
        record.visitor = _visitor_in(message.data)
        text = "Replayed onto the topic" if was_dead else "Stored on the topic"
        state.step(record, text, detail=f"message {message.id}, {len(message.data):,} bytes")

    def _buried(self, message: Message) -> None:
        state = self._state
        state.counts.letters += 1
        key = key_of(message)
        record = state.events.get(key) or state.arrive(key, state.now())
        letter = DeadLetter(
            message.id, message.publish_time, message.data, message.attributes, len(message.data)
        )
        record.status, record.reason = Status.DEAD, letter.reason
        record.type = record.type or letter.event_type
        why = letter.reason or "nobody says why"
        state.step(record, f"Dead letter: {why}", detail=letter.detail, level=Level.BAD)
        state.letters.put(
            message.id,
            LetterRecord(
                message.id,
                key,
                letter.event_type,
                letter.reason,
                letter.detail,
                letter.stage,
                state.now(),
                letter.size,
                message.attributes,
            ),
        )

    def _delivery(
        self, event: DeliveryStarted | DeliveryEnded | Acked | Nacked | DeadLettered
    ) -> None:
        counts = self._state.counts
        record = self._state.events.get(key_of(event.message))
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
            self._state.step(record, "deliver gave no answer", level=Level.WARN)
        else:
            level = Level.INFO if status < 300 else Level.WARN
            self._state.step(record, f"deliver answered {status}", level=level)

    def _returned(self, record: EventRecord, event: Nacked) -> None:
        if not record.is_settled():
            record.status = Status.RETRYING
        self._state.step(record, f"Back in the topic: {_REASONS[event.reason]}", level=Level.WARN)


def key_of(message: Message) -> str:
    """The event id; the message's own where whoever published it gave none."""
    return (
        message.attributes.get("eventId")
        or _text_in(message.data, "id")
        or (f"message-{message.id}")
    )


def _visitor_in(data: bytes) -> str:
    return _text_in(data, "visitorId")


def _text_in(data: bytes, key: str) -> str:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
