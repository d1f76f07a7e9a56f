"""The `deliver` function: Pub/Sub pushes a message and is answered once AEP has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pendo_aep.aep.client import SEPARATOR_BYTES
from pendo_aep.aep.format import PROFILE_LIMIT_BYTES, Format, trim
from pendo_aep.aep.mapping import is_too_long
from pendo_aep.aep.misconfiguration import without_values
from pendo_aep.aep.retry import PendingMessage
from pendo_aep.aep.typed_values import Misfits
from pendo_aep.dead_letters import Reason
from pendo_aep.event import Event, InvalidEvent, read_event
from pendo_aep.event import encode as encode_event
from pendo_aep.group_commit import GroupCommit, Overloaded
from pendo_aep.http import BodyTooLarge, JsonResponse, read_body
from pendo_aep.logs import log
from pendo_aep.outcome import Delivered, Outcome, Rejected, Retry, RetryReason
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pubsub.push_envelope import InvalidPushRequest, parse_push

# Google: Pub/Sub quotas, a message of 10 MB at most; in base64, and its attributes with it.
_MAX_PUSH_BYTES: Final = 16_000_000


class Disposition(Enum):
    """How to answer Pub/Sub for one message."""

    ACK = "ack"
    """AEP has accepted it, or it is a dead letter: it must not come again."""
    NACK = "nack"
    """It must come again."""
    OVERLOADED = "overloaded"
    """It must come again, and Pub/Sub must slow down."""


# They are the same for every message.
_RESPONSES: Final = {
    Disposition.ACK: JsonResponse(204),
    Disposition.NACK: JsonResponse(503),
    Disposition.OVERLOADED: JsonResponse(429),
}


class AnswerWords(Protocol):
    """Knows poll answers in words."""

    def add_words(self, event: Event) -> bool:
        """Adds what it knows to the event's answers, and returns whether it has added anything."""
        ...


class Delivery:
    """Encodes messages for AEP and settles their outcomes; `deliver` and `drain` share it."""

    def __init__(
        self,
        format: Format,  # noqa: A002 (the setting's own name)
        dead_letters: DeadLetterPublisher,
        *,
        trims: bool = False,
        words: AnswerWords | None = None,
    ) -> None:
        """Takes how AEP wants its messages, and where dead letters go.

        Args:
            format: how AEP wants its messages.
            dead_letters: where dead letters go, as they came: without words.
            trims: whether to trim an event that Profile would drop.
            words: what poll answers mean in words, if that is known.
        """
        self._format = format
        self._dead_letters = dead_letters
        self._trims = trims
        self._words = words
        self._misfits = Misfits()

    def encode(self, data: bytes, attributes: dict[str, str]) -> bytes:
        """Returns the message as AEP takes it; trims it or warns where Profile would drop it.

        Sets `eventId` in the attributes if the publisher did not, for logs and dead letters.

        Raises:
            InvalidEvent: the data is not a normalised event.
        """
        event = read_event(data)
        if self._words is not None and self._words.add_words(event):
            data = encode_event(event)
        attributes.setdefault("eventId", event["id"])
        if is_too_long(event.get("visitorId")):
            log("WARNING", "identity over 1,024 characters", event_id=event["id"])
        message = self._format.encode(data, event)
        if self._format.typed and (names := self._format.typed.misfits(event.get("properties"))):
            self._misfits.count(names)
        if len(message) <= PROFILE_LIMIT_BYTES:
            return message
        stored = self._format.stored_bytes(message, event)
        if stored > PROFILE_LIMIT_BYTES:
            if self._trims:
                message = trim(event, self._format)
            log(
                "WARNING",
                "event over Profile's 10 KB",
                event_id=event["id"],
                bytes=stored,
                sentBytes=len(message),
            )
        return message

    def settle(
        self, data: bytes, attributes: Mapping[str, str], outcome: Delivered | Retry
    ) -> Disposition:
        """Returns how to answer Pub/Sub for a message that AEP has accepted, or not yet."""
        event_id, trace = attributes.get("eventId"), attributes.get("traceparent")
        if isinstance(outcome, Delivered):
            log(
                "INFO",
                "message delivered",
                event_id=event_id,
                trace=trace,
                bytes=len(data),
                xactionId=outcome.xaction_id or None,
                batchId=outcome.batch_id or None,
            )
            return Disposition.ACK
        log("WARNING", "message returned", event_id=event_id, trace=trace, reason=outcome.reason)
        return Disposition.NACK

    async def dead_letter(
        self, data: bytes, attributes: Mapping[str, str], rejected: Rejected
    ) -> Disposition:
        """Returns how to answer Pub/Sub for a rejected message: ACK, once it is a dead letter."""
        is_aep = rejected.reason is not Reason.FOREIGN  # else the data may not even be JSON
        is_stored = await self._dead_letters.publish(
            data,
            attributes,
            reason=rejected.reason,
            detail=rejected.detail,
            said=without_values(rejected.detail, data) if is_aep else None,
        )
        return Disposition.ACK if is_stored else Disposition.NACK


class Deliverer:
    """Answers push requests, by the table of `deliver` in docs/specification.md."""

    def __init__(
        self,
        delivery: Delivery,
        batches: GroupCommit[PendingMessage, Outcome],
        *,
        deadline_seconds: float,
    ) -> None:
        """Takes the group commit whose calls go to AEP, and how long a message may wait for it."""
        self._delivery = delivery
        self._batches = batches
        self._deadline_seconds = deadline_seconds

    async def __call__(self, request: Request) -> Response:
        """Answers one request: Pub/Sub takes a 2xx as an acknowledgement, and nothing else."""
        try:
            push = parse_push(await read_body(request, _MAX_PUSH_BYTES))
        except (InvalidPushRequest, BodyTooLarge) as error:
            problem = str(error) or "over the size of a Pub/Sub message"
            log("ERROR", "no push delivery", reason=problem)
            hint = f"{problem}; this address is for a Pub/Sub push subscription or Eventarc"
            return JsonResponse(400, {"error": hint})
        except ClientDisconnect:
            return JsonResponse(400)  # nobody is there to read it
        return _RESPONSES[await self.deliver(push.data, push.attributes)]

    async def deliver(self, data: bytes, attributes: dict[str, str]) -> Disposition:
        """Delivers one message and returns how to answer Pub/Sub."""
        try:
            encoded = self._delivery.encode(data, attributes)
        except InvalidEvent as error:
            foreign = Rejected(Reason.FOREIGN, str(error))
            return await self._delivery.dead_letter(data, attributes, foreign)
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        message = PendingMessage(encoded, deadline)
        outcome: Outcome
        try:
            outcome = await self._batches.submit(message, len(encoded) + SEPARATOR_BYTES)
        except TimeoutError:
            outcome = Retry(RetryReason.DEADLINE)
        except Overloaded:
            log(
                "WARNING",
                "message returned",
                event_id=attributes.get("eventId"),
                trace=attributes.get("traceparent"),
                reason="overloaded",
            )
            return Disposition.OVERLOADED
        if isinstance(outcome, Rejected):
            return await self._delivery.dead_letter(data, attributes, outcome)
        return self._delivery.settle(data, attributes, outcome)
