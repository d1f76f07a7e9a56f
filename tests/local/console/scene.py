"""A scene: what the recorder, Pub/Sub and AEP tell the console of events, told by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

import orjson

from local.aep import (
    AcceptedMessage,
    ReceivedRequest,
    RefusedMessage,
    RequestRead,
    RequestStarted,
    TokenRequested,
)
from local.console.aep_story import AepStory
from local.console.pubsub_story import PubSubStory
from local.console.receive_story import ReceiveStory
from local.console.records import Webhook
from local.console.state import State
from local.pubsub import (
    Acked,
    DeadLettered,
    DeliveryEnded,
    DeliveryStarted,
    Message,
    Nacked,
    Published,
)

EVENTS, DEAD, PUSH, KEPT = "events", "dead", "push", "kept"
VISITOR = "mira@example.com"


class Scene:
    """One second passes with each thing that is told.

    Attributes:
        state: what the console makes of it.
        now: the clock, in seconds since the epoch.
    """

    def __init__(self, **limits: int) -> None:
        self.now = 1_000.0
        self.state = State(now=lambda: self.now, **limits)
        self._receive = ReceiveStory(self.state)
        self._pubsub = PubSubStory(self.state, events=EVENTS, dead=DEAD, push=PUSH, kept=KEPT)
        self._aep = AepStory(self.state)
        self._messages: dict[str, Message] = {}
        self._attempts: dict[str, int] = {}
        self._numbers = count(1)
        self._request = 0

    def tell(self, what: str, event: str = "e1", *more: Any) -> None:
        """Something happens to an event; `what` is the name of a method here."""
        self.now += 1
        getattr(self, what)(event, *more)

    def webhook(
        self, event: str, status: int, answer: Mapping[str, str], name: str = "npsSubmitted"
    ) -> None:
        """A webhook came, and `receive` has answered it."""
        body = orjson.dumps({"event": name, "visitorId": VISITOR, "uniqueId": event})
        told = {key: event if text == "ID" else text for key, text in answer.items()}
        self._receive.webhook(
            Webhook("POST", "/", (), body, self.now - 0.5, self.now, status, orjson.dumps(told))
        )

    def unreadable(self, event: str, body: str) -> None:
        """One that `receive` puts aside, on the topic of dead letters first."""
        self.buried(event, "not_json", "receive", body)
        answer = orjson.dumps({"status": "quarantined", "reason": "not_json"})
        self._receive.webhook(
            Webhook("POST", "/", (), body.encode(), self.now, self.now, 202, answer)
        )

    def stored(self, event: str) -> None:
        """Pub/Sub has stored it on the topic of events."""
        data = orjson.dumps({"id": event, "type": "nps.submitted", "visitorId": VISITOR})
        attributes = {"eventId": event, "eventType": "nps.submitted"}
        self._messages[event] = self._message(data, attributes)
        self._pubsub(Published(EVENTS, self._messages[event]))

    def pushed(self, event: str) -> None:
        """It leaves for `deliver`."""
        attempt = self._attempts[event] = self._attempts.get(event, 0) + 1
        self._pubsub(DeliveryStarted(PUSH, self._messages[event], attempt))

    def answered(self, event: str, status: int | None) -> None:
        """`deliver` has answered."""
        attempt = self._attempts[event]
        self._pubsub(DeliveryEnded(PUSH, self._messages[event], attempt, status))

    def acked(self, event: str) -> None:
        """It has left the subscription."""
        self._pubsub(Acked(PUSH, self._messages[event], self._attempts[event]))

    def nacked(self, event: str, reason: Literal["refused", "expired"]) -> None:
        """It is back in the topic."""
        self._pubsub(Nacked(PUSH, self._messages[event], self._attempts[event], reason))

    def given_up(self, event: str) -> None:
        """Pub/Sub's own policy has moved it."""
        self._pubsub(DeadLettered(PUSH, self._messages[event], self._attempts[event], DEAD, "9"))

    def logged(self, event: str, message: str, reason: str) -> None:
        """`deliver` has logged a line."""
        self._receive.line("deliver", {"eventId": event, "message": message, "reason": reason})

    def buried(self, event: str, reason: str, stage: str, data: str = "{}") -> None:
        """It is a dead letter."""
        key = hashlib.sha256(data.encode()).hexdigest() if stage == "receive" else event
        attributes = {"eventId": key, "reason": reason, "stage": stage, "detail": "because"}
        if reason == "exhausted":  # Pub/Sub's own policy, which says so in its way
            attributes = {"eventId": key, "CloudPubSubDeadLetterSourceDeliveryCount": "5"}
        self._messages[f"letter {event}"] = self._message(data.encode(), attributes)
        self._pubsub(Published(DEAD, self._messages[f"letter {event}"]))

    def taken_away(self, event: str) -> None:
        """Somebody has acknowledged that letter."""
        self._pubsub(Acked(KEPT, self._messages[f"letter {event}"], 1))

    def sent(self, *events: str) -> None:
        """A request to AEP brings these."""
        self._request = next(self._numbers)
        self._aep(RequestStarted(self._request, self.now))
        self._aep(RequestRead(self._request, [{"id": event} for event in events], self.now))

    def accepted(self, event: str) -> None:
        """AEP takes one of them."""
        self._aep(AcceptedMessage(event, {"id": event}, self._request, self.now))

    def refused(self, event: str, status: int, reason: str) -> None:
        """AEP refuses one of them."""
        message = {"id": event}
        self._aep(RefusedMessage(event, message, status, reason, self._request, self.now))

    def ended(self, _event: str, status: int | None, messages: int = 1) -> None:
        """The request is over."""
        self._aep(
            ReceivedRequest(
                self._request, "/", {}, {}, 500, messages, status, self.now - 1, self.now
            )
        )

    def token(self, _event: str, status: int) -> None:
        """Somebody asked for a token."""
        self._aep(TokenRequested("client", (), status, self.now))

    def _message(self, data: bytes, attributes: dict[str, str]) -> Message:
        number = str(next(self._numbers) + 100)
        moment = datetime.fromtimestamp(self.now, UTC)
        return Message(number, data, attributes, moment)
