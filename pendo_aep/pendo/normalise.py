"""Normalises webhooks: every kind of Pendo event becomes the one shape of `event.Event`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, cast

from pendo_aep.clock import MILLISECONDS_FROM, epoch_rfc3339
from pendo_aep.event import (
    MAX_EXACT_INTEGER,
    NUMBER_AS_TEXT,
    PLAIN_ID,
    SCHEMA_VERSION,
    App,
    Browser,
    Event,
    Guide,
    Nps,
    PollAnswer,
    Subscription,
    Track,
    event_type,
    whole,
)
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import Webhook, coerce_number, coerce_text, dumps_or_invalid

# Objects in which Pendo's API and Web SDK write a poll answer have it under one of these keys.
_ANSWER_KEYS: Final = ("value", "response", "answer")
# Keys of `properties` that hold one answer directly; the id of the poll is then in `pollId`.
_PLAIN_ANSWERS: Final = ("pollValue", "pollResponse", "pollAnswer")
# No known form nests deeper than an array of polls with an array of answers each.
_MAX_ANSWER_DEPTH: Final = 4


def event_id(unique_id: str | float | None, raw: bytes) -> str:
    """Returns the id of an event, which is the same whenever the same webhook comes again.

    It is Pendo's `uniqueId` if that has up to 64 letters, digits, `-` and `_`, or is an integer
    that JSON carries exactly. Any other text is replaced by its SHA-256. Without a `uniqueId`, or
    with one that other events may share (blank, or a number that may be rounded), the id is the
    SHA-256 of the raw body.

    Args:
        unique_id: as Pendo sent it, with its JSON type.
        raw: the raw bytes of the body.
    """
    if isinstance(unique_id, str):
        if PLAIN_ID.fullmatch(unique_id):
            return unique_id
        if unique_id and not unique_id.isspace():
            return hashlib.sha256(unique_id.encode()).hexdigest()
    elif isinstance(unique_id, int) and abs(unique_id) <= MAX_EXACT_INTEGER:
        return str(unique_id)
    return hashlib.sha256(raw).hexdigest()


def normalise(webhook: Webhook, raw: VerifiedBody, received_at: datetime) -> Event:
    """Returns the normalised event of a webhook.

    Args:
        webhook: the parsed and redacted body.
        raw: the raw bytes of the body, for the id of an event without one.
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
    _add_details(event, properties)
    if user_agent := webhook.get("userAgent"):
        event["userAgent"] = user_agent
    if properties:
        event["properties"] = properties
    return event


def _add_details(event: Event, properties: dict[str, Any]) -> None:
    """Adds what the properties hold, which depends on the kind of event."""
    if guide := _guide(properties):
        event["guide"] = guide
    if nps := _nps(properties.get("nps")):
        event["nps"] = nps
    if event["pendoEvent"] == "trackEventReceived" and (track := _track(properties)):
        event["track"] = track
    if event["pendoEvent"] == "visitorCreated" and (browser := _browser(properties)):
        event["browser"] = browser
    if answers := list(poll_answers(properties)):
        event["answers"] = answers


def _occurred_at(timestamp: object, received_at: float) -> str:
    """Returns when it happened; if that is unreadable or in the future, when it was received."""
    moment = coerce_number(timestamp)
    if moment is not None and moment > MILLISECONDS_FROM:
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
    if identity := coerce_text(properties.get("guideId")) or coerce_text(about.get("id")):
        guide["id"] = identity
    if name := coerce_text(about.get("name")):
        guide["name"] = name
    if step := coerce_text(properties.get("guideStepId")):
        guide["stepId"] = step
    if language := coerce_text(properties.get("language")):
        guide["language"] = language
    return guide


def _nps(answer: object) -> Nps:
    nps: Nps = {}
    if isinstance(answer, dict):
        rating = coerce_number(answer.get("rating"))
        if rating is not None:
            nps["rating"] = whole(rating)
            if category := _nps_category(rating):
                nps["category"] = category
        if reason := coerce_text(answer.get("reason")):
            nps["reason"] = reason
        if source := coerce_text(answer.get("source")):
            nps["source"] = source
    return nps


def _nps_category(rating: float) -> Literal["promoter", "passive", "detractor"] | None:
    """Returns the category of a rating; None for one outside of 0 to 10.

    Pendo: glossary, "Net Promoter Score (NPS)": promoters rate 9 or 10, passives 7 or 8, detractors
    0 to 6. Assumed: a fraction, of which Pendo says nothing, has the category of the bound that it
    reaches.
    """
    if not 0 <= rating <= 10:
        return None
    return "promoter" if rating >= 9 else "passive" if rating >= 7 else "detractor"


def _track(properties: dict[str, Any]) -> Track:
    """Reads a track event (Pendo: "Example Webhook Responses: ... Track Event").

    The customer's own `eventProperties` stay in `properties`.
    """
    track: Track = {}
    if name := coerce_text(properties.get("name")):
        track["name"] = name
    if source := coerce_text(properties.get("source")):
        track["source"] = source
    return track


def _browser(properties: dict[str, Any]) -> Browser:
    """Reads a new visitor's browser (Pendo: "Example Webhook Responses: Visitor Created ...")."""
    browser: Browser = {}
    if name := coerce_text(properties.get("browserName")):
        browser["name"] = name
    if version := coerce_text(properties.get("browserVersion")):
        browser["version"] = version
    return browser


def poll_answers(properties: dict[str, Any]) -> Iterator[PollAnswer]:
    """Yields the answers under every `poll*` key of a webhook's `properties`.

    Pendo publishes a body of `pollSubmitted` (help article "Webhooks", 360032285012, section
    "Example Webhook Responses"), but no copy of it could be read. So every plausible form is.

    Raises:
        InvalidWebhook: an answer is nested too deep to be written as text.
    """
    for key, value in properties.items():
        if not key.startswith("poll"):
            continue
        if key in _PLAIN_ANSWERS and (_is_scalar(value) or _are_choices(value)):
            yield from _choices(properties.get("pollId"), value)
        elif isinstance(value, list | dict):
            yield from _nested(value)


def _nested(value: object, depth: int = 0) -> Iterator[PollAnswer]:
    """Yields the answers in an object `{pollId, value}`, or in an array or object of these."""
    if depth > _MAX_ANSWER_DEPTH:
        return
    if isinstance(value, list):
        for element in value:
            yield from _nested(element, depth + 1)
    elif isinstance(value, dict):
        given = next((value[key] for key in _ANSWER_KEYS if value.get(key) is not None), None)
        if given is not None:
            yield from _choices(value.get("pollId", value.get("id")), given)
        else:
            for element in value.values():
                yield from _nested(element, depth + 1)


def _choices(poll: object, value: object) -> Iterator[PollAnswer]:
    """Yields an answer for each choice of a multiple-choice question; else the one answer."""
    for choice in cast("list[object]", value) if _are_choices(value) else (value,):
        if choice is not None:
            yield _answer(poll, choice)


def _are_choices(value: object) -> bool:
    """Returns whether it is a list of texts, numbers and the like. Assumed: these are choices."""
    return isinstance(value, list) and all(map(_is_scalar, value))


def _is_scalar(value: object) -> bool:
    return not isinstance(value, list | dict)


def _answer(poll: object, value: object) -> PollAnswer:
    answer: PollAnswer = {
        "value": value if isinstance(value, str) else dumps_or_invalid(value).decode()
    }
    if poll_id := coerce_text(poll):
        answer["pollId"] = poll_id
    if not isinstance(value, str) or NUMBER_AS_TEXT.fullmatch(value):
        number = coerce_number(value)
        if number is not None:
            answer["number"] = whole(number)
    return answer
