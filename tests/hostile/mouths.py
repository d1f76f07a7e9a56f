"""Both functions as hostile input meets them: what each is sent, and where it goes from there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

import orjson

from local.aep import AepServer
from local.functions import Function
from local.pipeline import DEAD, EVENTS, SECRET
from local.pubsub import PubSubServer
from local.samples import sign
from tests.delivery_harness import event
from tests.webhooks import unique_id, webhook

TOPIC, DEAD_TOPIC = f"projects/local/topics/{EVENTS}", f"projects/local/topics/{DEAD}"
# No two tests send the same event.
_numbers: Final[Iterator[int]] = count(100_000)


@dataclass(frozen=True, slots=True)
class Mouth:
    """A function that runs, and what stands behind it.

    Attributes:
        function: `receive` or `deliver`.
        taken: what it answers when it has taken something in.
        server: the Pub/Sub in front of it or behind it.
        inlet: the AEP behind `deliver`.
    """

    function: Function
    taken: int
    server: PubSubServer
    inlet: AepServer

    def good(self, **more: object) -> tuple[str, bytes, str]:
        """The id of an event of its own, a body that is right, and the headers that it needs."""
        number = next(_numbers)
        if self.function.target == "receive":
            body = webhook(number, **more)
            return unique_id(number), body, _headers(body)
        name = f"hostile-{number}"
        data = orjson.dumps(orjson.loads(event(name)) | more)
        return name, push_of(data), "Content-Type: application/json\r\n"

    def has(self, event_id: str) -> bool:
        """Has the event got to where the function carries it?"""
        if self.function.target == "deliver":
            return event_id in self.inlet.distinct_ids
        return any(m.attributes.get("eventId") == event_id for m in self.server.published(TOPIC))

    @property
    def arrived(self) -> int:
        """How much has come to its end: carried on, or a dead letter."""
        letters = len(self.server.published(DEAD_TOPIC))
        if self.function.target == "deliver":
            return letters + len(self.inlet.accepted)
        return letters + len(self.server.published(TOPIC))

    def is_dead(self, event_id: str) -> bool:
        """Is it a dead letter?"""
        letters = self.server.published(DEAD_TOPIC)
        return any(letter.attributes.get("eventId") == event_id for letter in letters)


def push_of(data: bytes, **attributes: str) -> bytes:
    """Google's envelope around the data of a message."""
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
    return orjson.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})


def _headers(body: bytes) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in sign(body, SECRET).items())
