"""The normalised event: the one shape in which every kind of webhook travels on the topic."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NotRequired, TypedDict

import orjson

SCHEMA_VERSION: Final = 1
TOO_DEEP: Final = "nested too deep, over 254 levels"  # orjson reads 1,024, and writes 254

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

# Valid in Pub/Sub attributes, URLs and AEP's `_id` (a URI reference without colons) as they are.
PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# A number of JSON (RFC 8259, section 6) without an exponent, in digits that a float can hold: a
# rating or an amount. With leading zeros it is more likely an id.
NUMBER_AS_TEXT: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})([.][0-9]{1,15})?", re.ASCII)
# RFC 8259, section 6: readers of JSON agree on the exact value of an integer up to here. A larger
# one, or a number with a fraction or an exponent, may be the rounded form of several.
MAX_EXACT_INTEGER: Final = 2**53 - 1


class Guide(TypedDict, total=False):
    """The guide that was shown, and its step."""

    id: str
    name: str
    stepId: str
    language: str


class Nps(TypedDict, total=False):
    """An NPS answer. A rating of 0 is the worst rating, not a missing one."""

    rating: int | float
    reason: str
    source: str
    category: Literal["promoter", "passive", "detractor"]


class Track(TypedDict, total=False):
    """A track event defined by the customer: its name, and what sent it."""

    name: str
    source: str


class Browser(TypedDict, total=False):
    """The browser in which Pendo first saw a visitor."""

    name: str
    version: str


class PollAnswer(TypedDict):
    """One answer to one question of a poll; for a pick list, the id of one choice.

    `number` is the same answer as a number, if it is one. `question`, `text` and `type` are not on
    the topic: `deliver` adds them, if it has a catalogue of polls (`pipeline/poll_catalog.py`).
    """

    pollId: NotRequired[str]
    value: str
    number: NotRequired[int | float]
    question: NotRequired[str]
    text: NotRequired[str]
    type: NotRequired[str]


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
    """The normalised event, with the keys it has on the topic. Empty values are absent."""

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
    track: NotRequired[Track]
    browser: NotRequired[Browser]
    answers: NotRequired[list[PollAnswer]]
    userAgent: NotRequired[str]
    properties: NotRequired[dict[str, Any]]
    schemaVersion: int


class InvalidEvent(ValueError):
    """Not a normalised event, or one that cannot be written as JSON."""


def whole(number: float) -> int | float:
    """Returns a whole number as an integer.

    Beyond 2**53 an integer is no more exact than a float, and may be too long for JSON.
    """
    return int(number) if number.is_integer() and abs(number) <= 2**53 else number


def event_type(pendo_event: str) -> str:
    """Returns the normalised type of a Pendo event; for an unknown one, `pendo.` and its name."""
    return EVENT_TYPES.get(pendo_event) or OTHER_TYPES + pendo_event


def encode(event: Event) -> bytes:
    """Returns the event as the data of a message.

    Raises:
        InvalidEvent: it is nested too deep to be written as JSON.
    """
    try:
        return orjson.dumps(event)
    except orjson.JSONEncodeError:
        raise InvalidEvent(TOO_DEEP) from None


def message_attributes(event: Event, traceparent: str | None = None) -> dict[str, str]:
    """Returns the attributes of the event's message, with the trace if there is one."""
    attributes = {
        "eventId": event["id"],
        "eventType": event["type"],
        "pendoEvent": event["pendoEvent"],
        "schemaVersion": str(event["schemaVersion"]),
    }
    return attributes | ({"traceparent": traceparent} if traceparent else {})


def read_event(data: bytes) -> Event:
    """Returns the normalised event in the data of a message.

    Raises:
        InvalidEvent: it is not JSON, or lacks what every normalised event has.
    """
    try:
        event: Event = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidEvent("the data is not JSON") from None
    if not isinstance(event, dict):
        raise InvalidEvent("the data is not a JSON object")
    for key in ("id", "type", "occurredAt"):
        if not isinstance(event.get(key), str):
            raise InvalidEvent(f"{key!r} is missing or is not text")
    if not PLAIN_ID.fullmatch(event["id"]):
        raise InvalidEvent("'id' has other characters than letters, digits, - and _, or over 64")
    return event
