"""What the tests of the commands do: put letters, run the command, look at the events topic."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from google.api_core import exceptions
from google.pubsub_v1.types import PubsubMessage

from local.functions import PROJECT, end_group
from local.pipeline import DEAD, EVENTS, PubSubAdmin
from tests.webhooks import webhook

# Settings of whoever runs the tests must not reach the command.
_OURS = ("PUBSUB_", "DEAD_LETTER_", "GOOGLE_", "REDACT")
_WAIT = ("--wait", "0.5")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON Lines that it printed."""
        return [orjson.loads(line) for line in self.out.splitlines()]


def refused(number: int, **attributes: str) -> PubsubMessage:
    """A letter of `deliver`: the normalised event, which AEP refused."""
    event = {
        "id": event_id(number),
        "type": "guide.displayed",
        "occurredAt": "2026-01-31T09:00:00.000Z",
        "visitorId": "canary-visitor@example.com",
    }
    letter = {
        "eventId": event_id(number),
        "eventType": "guide.displayed",
        "pendoEvent": "guideDisplayed",
        "reason": "rejected",
        "stage": "deliver",
        "detail": "XDM validation failed",
        "failedAt": "2026-01-31T09:30:00.000Z",
    }
    return PubsubMessage(data=orjson.dumps(event), attributes=letter | attributes)


def exhausted(number: int) -> PubsubMessage:
    """A letter of Pub/Sub's own dead-letter policy."""
    message = refused(number)
    for name in ("reason", "stage", "detail", "failedAt"):
        del message.attributes[name]
    message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = "5"
    message.attributes["CloudPubSubDeadLetterSourceSubscription"] = "pendo-events-deliver"
    return message


def unread(data: bytes, letter_id: str, **attributes: str) -> PubsubMessage:
    """A letter of `receive`: a webhook as it came."""
    letter = {
        "eventId": letter_id,
        "reason": "not_an_event",
        "stage": "receive",
        "detail": "properties: Input should be a valid dictionary",
        "failedAt": "2026-01-31T09:31:00.000Z",
    }
    return PubsubMessage(data=data, attributes=letter | attributes)


def readable(number: int) -> PubsubMessage:
    """A webhook that yesterday's code could not read, and today's can."""
    return unread(webhook(number), f"webhook-{number}")


def event_id(number: int) -> str:
    """The id of event `number`."""
    return f"event-{number}"


@dataclass(frozen=True, slots=True)
class Desk:
    """One project on a Pub/Sub server, with a box of letters."""

    host: str
    project: str
    admin: PubSubAdmin
    kept: str
    seen: str

    async def put(self, *letters: PubsubMessage) -> None:
        """Has letters lie in the box."""
        topic = f"projects/{self.project}/topics/{DEAD}"
        for start in range(0, len(letters), 1000):
            await self.admin.publisher.publish(
                topic=topic, messages=list(letters[start : start + 1000])
            )

    @asynccontextmanager
    async def start(
        self, *arguments: str, **settings: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """`python -m pendo_aep dead-letters` with these arguments, in a group of its own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        ours = {"GOOGLE_CLOUD_PROJECT": self.project, "PUBSUB_EMULATOR_HOST": self.host}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pendo_aep", "dead-letters", *arguments),
            cwd=PROJECT,
            env=inherited | ours | settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            await end_group(process)
            await process.communicate()

    async def run(self, action: str, *arguments: str, **settings: str) -> Ran:
        """The same, to its end."""
        async with self.start(action, *_WAIT, *arguments, **settings) as process:
            out, err = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def letters(self) -> set[str]:
        """The ids of the letters in the box."""
        listed = await self.run("list", "--json")
        assert listed.code == 0, listed.err
        return {line["eventId"] for line in listed.lines}

    async def some_events(self) -> list[PubsubMessage]:
        """What one pull has of what came onto the events topic since this was last asked."""
        try:
            answer = await self.admin.subscriber.pull(
                subscription=self.seen, max_messages=1000, retry=None, timeout=0.5
            )
        except exceptions.DeadlineExceeded:
            return []
        if ack_ids := [one.ack_id for one in answer.received_messages]:
            await self.admin.subscriber.acknowledge(subscription=self.seen, ack_ids=ack_ids)
        return [one.message for one in answer.received_messages]

    async def events(self) -> AsyncIterator[PubsubMessage]:
        """The same, until there is no more."""
        while messages := await self.some_events():
            for message in messages:
                yield message

    async def event_ids(self) -> list[str]:
        """The ids of those."""
        return [message.attributes["eventId"] async for message in self.events()]

    @property
    def events_topic(self) -> str:
        """Its path."""
        return f"projects/{self.project}/topics/{EVENTS}"

    @property
    def dead_topic(self) -> str:
        """The path of the letters' topic."""
        return f"projects/{self.project}/topics/{DEAD}"


def ids(numbers: Iterable[int]) -> set[str]:
    """The ids of events."""
    return {event_id(number) for number in numbers}
