"""Delivery of one message: into a batch, to AEP, and to its end.

The end is one of three: AEP has it, it is a dead letter, or it goes back to Pub/Sub to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum

from pendo_aep.dead_letter import Reason
from pendo_aep.dead_letter_topic import DeadLetterTopic
from pendo_aep.event import NotAnEvent, read_event
from pendo_aep.group_commit import GroupCommit, Overloaded
from pendo_aep.inlet import SEPARATOR_BYTES
from pendo_aep.logs import log
from pendo_aep.outcome import Delivered, Outcome, Refused, Retry
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
    """Takes messages from Pub/Sub to AEP; `deliver` and `drain` share it."""

    def __init__(
        self,
        batches: GroupCommit[bytes, Outcome],
        format: Format,  # noqa: A002 (the setting's own name)
        dead_letters: DeadLetterTopic,
        *,
        deadline_seconds: float,
    ) -> None:
        """Takes the group commit whose sink is AEP, and where dead letters go."""
        self._batches = batches
        self._format = format
        self._dead_letters = dead_letters
        self._deadline = deadline_seconds

    async def deliver(self, data: bytes, attributes: Mapping[str, str]) -> End:
        """Carries one message, as it lay on the topic, to its end."""
        event_id, trace = attributes.get("eventId"), attributes.get("traceparent")
        try:
            outcome = await self._send(data)
        except Overloaded:
            log("WARNING", "message returned", event_id=event_id, trace=trace, reason="overloaded")
            return End.TOO_MUCH
        match outcome:
            case Delivered():
                log("INFO", "message delivered", event_id=event_id, trace=trace, bytes=len(data))
                return End.DONE
            case Retry(why):
                log("WARNING", "message returned", event_id=event_id, trace=trace, reason=why)
                return End.AGAIN
            case Refused(reason, detail):
                lies_there = await self._dead_letters.put(
                    data, attributes, reason=reason, detail=detail
                )
                return End.DONE if lies_there else End.AGAIN

    async def _send(self, data: bytes) -> Outcome:
        try:
            message = self._format.encode(data, read_event(data))
        except NotAnEvent as error:
            return Refused(Reason.FOREIGN, str(error))
        try:
            async with asyncio.timeout(self._deadline):
                return await self._batches.submit(message, len(message) + SEPARATOR_BYTES)
        except TimeoutError:
            return Retry("deadline")
