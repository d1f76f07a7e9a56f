"""Delivery of one message: into a batch, to AEP, and to its end.

The end is one of three: AEP has it, it is a dead letter, or it goes back to Pub/Sub to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum

from pendo_aep.configuration_errors import without_values
from pendo_aep.dead_letter import Reason
from pendo_aep.dead_letter_topic import DeadLetterTopic
from pendo_aep.event import NotAnEvent, read_event
from pendo_aep.group_commit import GroupCommit, Overloaded
from pendo_aep.inlet import SEPARATOR_BYTES
from pendo_aep.logs import log
from pendo_aep.mapping_row import is_too_long
from pendo_aep.outcome import Delivered, Outcome, Refused, Retry
from pendo_aep.sender import Outgoing
from pendo_aep.trim import PROFILE_LIMIT_BYTES, trim
from pendo_aep.xdm import Format


class End(Enum):
    """What to tell Pub/Sub of a message."""

    DONE = "ack"
    """Accepted by AEP, or a dead letter now: it must not come again."""
    AGAIN = "nack"
    """It must come again."""
    TOO_MUCH = "overloaded"
    """It must come again, and everything more slowly."""


class Delivery:
    """Takes messages from Pub/Sub to their end; `deliver` and `drain` share it."""

    def __init__(
        self,
        format: Format,  # noqa: A002 (the setting's own name)
        dead_letters: DeadLetterTopic,
        *,
        trims: bool = False,
    ) -> None:
        """Takes how AEP wants its messages, where dead letters go, and whether to trim."""
        self._format = format
        self._dead_letters = dead_letters
        self._trims = trims

    def encode(self, data: bytes, attributes: dict[str, str]) -> bytes:
        """The message as AEP takes it; one that Profile would drop is trimmed, or warned of.

        If its publisher did not, the attributes name the event from here on, in logs and letters.

        Raises:
            NotAnEvent: the data is not a normalised event.
        """
        event = read_event(data)
        attributes.setdefault("eventId", event["id"])
        if is_too_long(event.get("visitorId")):
            log("WARNING", "identity over 1,024 characters", event_id=event["id"])
        message = self._format.encode(data, event)
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

    def end(self, data: bytes, attributes: Mapping[str, str], outcome: Delivered | Retry) -> End:
        """What to tell Pub/Sub of a message that AEP has, or that must come again."""
        event_id, trace = attributes.get("eventId"), attributes.get("traceparent")
        if isinstance(outcome, Delivered):
            log("INFO", "message delivered", event_id=event_id, trace=trace, bytes=len(data))
            return End.DONE
        log("WARNING", "message returned", event_id=event_id, trace=trace, reason=outcome.why)
        return End.AGAIN

    async def bury(self, data: bytes, attributes: Mapping[str, str], refused: Refused) -> End:
        """What to tell Pub/Sub of a message that AEP will never take: done, once it is buried."""
        is_aep = refused.reason is not Reason.FOREIGN  # else the data may not even be JSON
        lies_there = await self._dead_letters.put(
            data,
            attributes,
            reason=refused.reason,
            detail=refused.detail,
            said=without_values(refused.detail, data) if is_aep else None,
        )
        return End.DONE if lies_there else End.AGAIN


class PushDelivery:
    """Delivery of messages that come one by one, each with somebody who waits for its end."""

    def __init__(
        self,
        delivery: Delivery,
        batches: GroupCommit[Outgoing, Outcome],
        *,
        deadline_seconds: float,
    ) -> None:
        """Takes the group commit whose sink is AEP, and how long a message may wait for it."""
        self._delivery = delivery
        self._batches = batches
        self._deadline_seconds = deadline_seconds

    async def deliver(self, data: bytes, attributes: dict[str, str]) -> End:
        """Carries one message, as it lay on the topic, to its end."""
        try:
            message = self._delivery.encode(data, attributes)
        except NotAnEvent as error:
            return await self._delivery.bury(data, attributes, Refused(Reason.FOREIGN, str(error)))
        outgoing = Outgoing(message, asyncio.get_running_loop().time() + self._deadline_seconds)
        outcome: Outcome
        try:
            outcome = await self._batches.submit(outgoing, len(message) + SEPARATOR_BYTES)
        except TimeoutError:
            outcome = Retry("deadline")
        except Overloaded:
            log(
                "WARNING",
                "message returned",
                event_id=attributes.get("eventId"),
                trace=attributes.get("traceparent"),
                reason="overloaded",
            )
            return End.TOO_MUCH
        if isinstance(outcome, Refused):
            return await self._delivery.bury(data, attributes, outcome)
        return self._delivery.end(data, attributes, outcome)
