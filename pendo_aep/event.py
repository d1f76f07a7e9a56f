"""The normalised event: what travels on the topic, and the same for every kind of webhook."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NotRequired, TypedDict, cast

import orjson

from pendo_aep.clock import epoch_rfc3339
from pendo_aep.poll_answers import Answer, answers_in
from pendo_aep.signature import VerifiedBody
from pendo_aep.tolerant import number_of, text_of, to_json
from pendo_aep.webhook import Webhook

SCHEMA_VERSION: Final = 1

# Pendo: "Webhooks", the events that can be chosen; the set is open.
EVENT_TYPES: Final = {
    "guideDisplayed": "guide.displayed",
    "pollDisplayed": "poll.displayed",
    "pollSubmitted": "poll.submitted",
    "npsDisplayed": "nps.displayed",
    "npsSubmitted": "nps.submitted",
    "trackEventReceived": "track.received",
    "visitorCreated": "visitor.created",
    "accountCreated": "account.created",
}
OTHER_TYPES: Final = "pendo."

# Pub/Sub attributes, URLs and AEP's `_id` (a URI reference without colons) take these as they are.
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# Pendo writes seconds; as seconds, this would be the year 5138.
_MILLISECONDS_FROM: Final = 1e11


class Guide(TypedDict, total=False):
    """The guide that was shown, and the step of it."""

    id: str
    name: str
    stepId: str
    language: str


class Nps(TypedDict, total=False):
    """An NPS answer. A rating of 0 is the worst there is, not a missing one."""

    rating: int | float
    reason: str
    source: str


class App(TypedDict, total=False):
    """The application that the event comes from."""

    id: str
    name: str
    platform: str


class Subscription(TypedDict, total=False):
    """The Pendo subscription that the event comes from."""

    id: str
    name: str


class Event(TypedDict):
    """The normalised event, in the spelling of the topic. What is empty is absent."""

    id: str
    type: str
    pendoEvent: str
    occurredAt: str
    receivedAt: str
    visitorId: NotRequired[str]
    accountId: NotRequired[str]
    app: NotRequired[App]
    subscription: NotRequired[Subscription]
    guide: NotRequired[Guide]
    nps: NotRequired[Nps]
    answers: NotRequired[list[Answer]]
    userAgent: NotRequired[str]
    properties: NotRequired[dict[str, Any]]
    schemaVersion: int


class NotAnEvent(ValueError):
    """Data that is not a normalised event: something else wrote it to the topic."""


def event_type(pendo_event: str) -> str:
    """The normalised type of Pendo's event; of one that is not known, `pendo.` and its name."""
    return EVENT_TYPES.get(pendo_event) or OTHER_TYPES + pendo_event


def event_id(unique_id: str | None, raw: bytes) -> str:
    """The identity of an event: the same webhook always has the same.

    It is Pendo's `uniqueId` where that is plain (letters, digits, `-`, `_`; 64 at most), else its
    SHA-256 in hex, else the SHA-256 of the raw body.
    """
    if not unique_id:
        return hashlib.sha256(raw).hexdigest()
    if _PLAIN_ID.fullmatch(unique_id):
        return unique_id
    return hashlib.sha256(unique_id.encode()).hexdigest()


def normalise(webhook: Webhook, raw: VerifiedBody, received_at: datetime) -> Event:
    """The normalised event of a webhook.

    Args:
        webhook: the body as read, redacted.
        raw: the raw bytes of the body, for the identity of an event that brings none.
        received_at: when the request came, in UTC.
    """
    properties = webhook.get("properties") or {}
    name = webhook["event"]
    received = received_at.timestamp()
    event: Event = {
        "id": event_id(webhook.get("uniqueId"), raw),
        "type": event_type(name),
        "pendoEvent": name,
        "occurredAt": _occurred_at(webhook.get("timestamp"), received),
        "receivedAt": epoch_rfc3339(received),
        "schemaVersion": SCHEMA_VERSION,
    }
    if visitor_id := webhook.get("visitorId"):
        event["visitorId"] = visitor_id
    if account_id := webhook.get("accountId"):
        event["accountId"] = account_id
    if app := _without_empty(webhook.get("app")):
        event["app"] = cast("App", app)
    if subscription := _without_empty(webhook.get("subscription")):
        event["subscription"] = cast("Subscription", subscription)
    if guide := _guide(properties):
        event["guide"] = guide
    if nps := _nps(properties.get("nps")):
        event["nps"] = nps
    if answers := list(answers_in(properties)):
        event["answers"] = answers
    if user_agent := webhook.get("userAgent"):
        event["userAgent"] = user_agent
    if properties:
        event["properties"] = properties
    return event


def encode(event: Event) -> bytes:
    """The event as the data of a message.

    Raises:
        Unreadable: something in it is nested too deep to be written as JSON again.
    """
    return to_json(event)


def message_attributes(event: Event, traceparent: str | None = None) -> dict[str, str]:
    """The attributes of the message that carries the event, with its trace if it has one."""
    attributes = {
        "eventId": event["id"],
        "eventType": event["type"],
        "pendoEvent": event["pendoEvent"],
        "schemaVersion": str(event["schemaVersion"]),
    }
    return attributes | ({"traceparent": traceparent} if traceparent else {})


def read_event(data: bytes) -> Event:
    """The normalised event in the data of a message.

    Raises:
        NotAnEvent: it is not JSON, or lacks what every normalised event has.
    """
    try:
        event: Event = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise NotAnEvent("the data is not JSON") from None
    if not isinstance(event, dict):
        raise NotAnEvent("the data is not a JSON object")
    for key in ("id", "type", "occurredAt"):
        if not isinstance(event.get(key), str):
            raise NotAnEvent(f"{key!r} is missing or is not text")
    if not _PLAIN_ID.fullmatch(event["id"]):
        raise NotAnEvent("'id' has other characters than letters, digits, - and _, or over 64")
    return event


def _occurred_at(timestamp: object, received_at: float) -> str:
    """When it happened; when that cannot be read, or would be to come, when it was received."""
    moment = number_of(timestamp)
    if moment is not None and moment > _MILLISECONDS_FROM:
        moment /= 1000
    if moment is None or not 0 < moment <= received_at:
        moment = received_at
    return epoch_rfc3339(moment)


def _without_empty(value: Mapping[str, object] | None) -> dict[str, object]:
    return {key: text for key, text in value.items() if text} if value else {}


def _guide(properties: dict[str, Any]) -> Guide:
    about = properties.get("guideProperties")
    about = about if isinstance(about, dict) else {}
    guide: Guide = {}
    if identity := text_of(properties.get("guideId")) or text_of(about.get("id")):
        guide["id"] = identity
    if name := text_of(about.get("name")):
        guide["name"] = name
    if step := text_of(properties.get("guideStepId")):
        guide["stepId"] = step
    if language := text_of(properties.get("language")):
        guide["language"] = language
    return guide


def _nps(answer: object) -> Nps:
    nps: Nps = {}
    if isinstance(answer, dict):
        rating = number_of(answer.get("rating"))
        if rating is not None:
            # Beyond 2**53 a whole number is no more exact than a float, and too long for JSON here.
            is_whole = rating.is_integer() and abs(rating) <= 2**53
            nps["rating"] = int(rating) if is_whole else rating
        if reason := text_of(answer.get("reason")):
            nps["reason"] = reason
        if source := text_of(answer.get("source")):
            nps["source"] = source
    return nps
