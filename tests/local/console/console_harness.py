"""A console without a pipeline: its server, and a pipeline whose events a test makes by hand."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

import aiohttp
import orjson

from local.aep import (
    AcceptedMessage,
    AepServer,
    ReceivedRequest,
    RefusedMessage,
    RequestRead,
    RequestStarted,
    TokenRequested,
)
from local.aep_platform.lake import RecordFailed, RecordStored
from local.aep_platform.state import Stage
from local.console.actions import Actions, Result, WebhookSender
from local.console.fault_injection import FaultInjector
from local.console.lake_tracker import LakeTracker
from local.console.server import ConsoleServer, Pace
from local.console.state import State, Webhook
from local.console.trackers import AepTracker, PubSubTracker, ReceiveTracker
from local.pubsub import (
    Acked,
    DeadLettered,
    DeliveryEnded,
    DeliveryStarted,
    Message,
    Nacked,
    Published,
    PubSubServer,
)
from local.samples import load_samples

EVENTS, DEAD, PUSH, KEPT = "events", "dead", "push", "kept"
VISITOR = "mira@example.com"
_SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}


class TrackedPipeline:
    """Passes events to the trackers by hand; one second passes with each.

    Attributes:
        state: the resulting state of the console.
        now: the clock, in seconds since the epoch.
    """

    def __init__(self, **limits: int) -> None:
        self.now = 1_000.0
        self.state = State(now=lambda: self.now, **limits)
        self._receive = ReceiveTracker(self.state)
        self._pubsub = PubSubTracker(self.state, events=EVENTS, dead=DEAD, push=PUSH, kept=KEPT)
        self._aep = AepTracker(self.state)
        self._lake = LakeTracker(self.state)
        self._messages: dict[str, Message] = {}
        self._attempts: dict[str, int] = {}
        self._numbers = count(1)
        self._request = 0

    def happen(self, what: str, event: str = "e1", *more: Any) -> None:
        """Makes something happen to an event; `what` is the name of a method here."""
        self.now += 1
        getattr(self, what)(event, *more)

    def webhook(
        self, event: str, status: int, answer: Mapping[str, str], name: str = "npsSubmitted"
    ) -> None:
        """A webhook arrived, and `receive` answered."""
        body = orjson.dumps({"event": name, "visitorId": VISITOR, "uniqueId": event})
        filled = {key: event if text == "ID" else text for key, text in answer.items()}
        self._receive.webhook(
            Webhook("POST", "/", (), body, self.now - 0.5, self.now, status, orjson.dumps(filled))
        )

    def unreadable(self, event: str, body: str) -> None:
        """`receive` quarantined a webhook, after it had published the dead letter."""
        self.dead_lettered(event, "not_json", "receive", body)
        answer = orjson.dumps({"status": "quarantined", "reason": "not_json"})
        self._receive.webhook(
            Webhook("POST", "/", (), body.encode(), self.now, self.now, 202, answer)
        )

    def stored(self, event: str) -> None:
        """Pub/Sub stored it on the topic of events."""
        data = orjson.dumps({"id": event, "type": "nps.submitted", "visitorId": VISITOR})
        attributes = {"eventId": event, "eventType": "nps.submitted"}
        self._messages[event] = self._message(data, attributes)
        self._pubsub(Published(EVENTS, self._messages[event]))

    def pushed(self, event: str) -> None:
        """A push to `deliver` started."""
        attempt = self._attempts[event] = self._attempts.get(event, 0) + 1
        self._pubsub(DeliveryStarted(PUSH, self._messages[event], attempt))

    def answered(self, event: str, status: int | None) -> None:
        """`deliver` answered."""
        attempt = self._attempts[event]
        self._pubsub(DeliveryEnded(PUSH, self._messages[event], attempt, status))

    def acked(self, event: str) -> None:
        """The message left the subscription."""
        self._pubsub(Acked(PUSH, self._messages[event], self._attempts[event]))

    def nacked(self, event: str, reason: Literal["refused", "expired"]) -> None:
        """The message returned to the topic."""
        self._pubsub(Nacked(PUSH, self._messages[event], self._attempts[event], reason))

    def moved_to_dead(self, event: str) -> None:
        """Pub/Sub's own dead-letter policy moved it."""
        self._pubsub(DeadLettered(PUSH, self._messages[event], self._attempts[event], DEAD, "9"))

    def logged(self, event: str, message: str, reason: str) -> None:
        """`deliver` logged a line."""
        self._receive.line("deliver", {"eventId": event, "message": message, "reason": reason})

    def delivered(self, event: str, ids: dict[str, str]) -> None:
        """`deliver` logged that AEP has accepted it, with AEP's own ids."""
        line = {"eventId": event, "message": "message delivered", "bytes": 2}
        self._receive.line("deliver", line | ids)

    def dead_lettered(self, event: str, reason: str, stage: str, data: str = "{}") -> None:
        """It was published as a dead letter."""
        key = hashlib.sha256(data.encode()).hexdigest() if stage == "receive" else event
        attributes = {"eventId": key, "reason": reason, "stage": stage, "detail": "because"}
        if reason == "exhausted":  # by Pub/Sub's own policy, which sets its own attributes
            attributes = {"eventId": key, "CloudPubSubDeadLetterSourceDeliveryCount": "5"}
        self._messages[f"letter {event}"] = self._message(data.encode(), attributes)
        self._pubsub(Published(DEAD, self._messages[f"letter {event}"]))

    def removed(self, event: str) -> None:
        """Its dead letter was acknowledged."""
        self._pubsub(Acked(KEPT, self._messages[f"letter {event}"], 1))

    def sent(self, *events: str) -> None:
        """A request to AEP contains these."""
        self._request = next(self._numbers)
        self._aep(RequestStarted(self._request, self.now))
        self._aep(RequestRead(self._request, [{"id": event} for event in events], self.now))

    def accepted(self, event: str) -> None:
        """AEP accepted one of them."""
        self._aep(AcceptedMessage(event, {"id": event}, self._request, self.now))

    def ingested(self, event: str) -> None:
        """AEP stored it in the data lake."""
        self._lake(RecordStored(event, "batch-1", self.now))

    def failed_later(self, event: str, stage: Stage, code: str) -> None:
        """AEP could not store what it had accepted."""
        self._lake(RecordFailed(event, stage, code, "because", "batch-1", self.now))

    def refused(self, event: str, status: int, reason: str) -> None:
        """AEP refused one of them."""
        message = {"id": event}
        self._aep(RefusedMessage(event, message, status, reason, self._request, self.now))

    def ended(self, _event: str, status: int | None, messages: int = 1) -> None:
        """The request to AEP ended."""
        self._aep(
            ReceivedRequest(
                self._request, "/", {}, {}, 500, messages, status, self.now - 1, self.now
            )
        )

    def token(self, _event: str, status: int) -> None:
        """The token endpoint was asked for a token."""
        self._aep(TokenRequested("client", (), status, self.now))

    def _message(self, data: bytes, attributes: dict[str, str]) -> Message:
        number = str(next(self._numbers) + 100)
        moment = datetime.fromtimestamp(self.now, UTC)
        return Message(number, data, attributes, moment)


@dataclass(slots=True)
class ConsoleHarness:
    """A console and a client of it.

    Attributes:
        url: the URL of the console.
        pipeline: what it shows.
        replayed: the IDs of each requested replay.
    """

    url: str
    pipeline: TrackedPipeline
    http: aiohttp.ClientSession
    actions: Actions
    replayed: list[frozenset[str] | None] = field(default_factory=list)

    async def post(self, path: str, **request: object) -> tuple[int, Any]:
        """Posts like the console's own page."""
        return await post(self.http, self.url, path, **request)


async def post(
    http: aiohttp.ClientSession, url: str, path: str, **request: object
) -> tuple[int, Any]:
    """Posts to a console like its own page; returns the status and the parsed answer."""
    body = orjson.dumps(request)
    async with http.post(f"{url}api/{path}", data=body, headers=_SAME_ORIGIN) as response:
        return response.status, orjson.loads(await response.read())


@asynccontextmanager
async def console_harness(
    pace: Pace | None = None, *, port: int = 0, **limits: int
) -> AsyncIterator[ConsoleHarness]:
    """Runs a console; on any free port by default."""
    pipeline = TrackedPipeline(**limits)
    state = pipeline.state
    replayed: list[frozenset[str] | None] = []

    async def replay(ids: frozenset[str] | None) -> Result:
        replayed.append(ids)
        return {"replayed": 0}

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        WebhookSender("http://127.0.0.1:9/", "secret", state.changed) as sender,
    ):
        injector = FaultInjector(AepServer(), PubSubServer(), state.changed)
        actions = Actions(sender, injector, replay, {}, state.changed)
        facts = {"webhooks": "there", "receive": "here"}
        server = ConsoleServer(state, actions, load_samples(), facts, pace=pace)
        async with server.serving(port, or_any=False) as url:
            yield ConsoleHarness(url, pipeline, http, actions, replayed)


async def server_sent_events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Yields the kind and data of each event of a stream; of a comment, its text."""
    kind = ""
    async for line in response.content:
        name, _, text = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            yield kind, orjson.loads(text)
        elif text:
            yield "comment", text
