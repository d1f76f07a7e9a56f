"""What AEP's stand-in tells: each request, and what it did with each message."""

from __future__ import annotations

from typing import Final

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
from local.console.records import BatchRecord, Level, Status
from local.console.state import State

_TAKEN: Final = (200, 207)


class AepStory:
    """An observer of the AEP stand-in."""

    def __init__(self, state: State) -> None:
        """Takes where to keep it."""
        self._state = state

    def __call__(self, event: AepEvent, /) -> None:
        """Takes note of an event."""
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
        beside = f", with {others} other{'s' if others > 1 else ''}" if others else ""
        for key, message in zip(ids, event.messages, strict=True):
            if record := self._state.events.get(key):
                record.sent = message
                self._state.step(record, f"Sent to AEP in request {event.number}{beside}")

    def _accepted(self, event: AcceptedMessage) -> None:
        state = self._state
        if event.id in state.accepted_ids:
            state.counts.duplicates += 1
        else:
            state.accepted_ids.add(event.id)
            state.counts.accepted += 1
        state.series.accepted(event.at)
        if batch := state.batches.get(str(event.request)):
            batch.accepted += 1
        if record := state.events.get(event.id):
            record.status, record.reason = Status.ACCEPTED, ""
            record.accepted_at = record.accepted_at or event.at
            state.step(record, "Accepted by AEP", at=event.at, level=Level.GOOD)

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
        if event.status in _TAKEN:
            return
        said = (
            "AEP gave no whole answer" if event.status is None else f"AEP answered {event.status}"
        )
        for key in batch.ids:
            if record := state.events.get(key):
                state.step(record, said, at=event.ended_at, level=Level.WARN)
