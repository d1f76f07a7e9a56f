"""The webhooks of the soak: the sample events over and over, each time as another event.

What AEP must hold of a webhook is not computed by the code under test. It is the expected event of
the sample, written by hand from the specification, with this webhook's own values in it. It is
compared by fingerprint: two events have the same one if they are equal as JSON values. Text that
holds JSON counts as the value in it. `receivedAt`, which nobody can predict, counts as "a time of
the last day".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import orjson

from benchmarks.load import post_request
from local.aep import Fault, refusing
from local.aep.messages import id_of
from local.aep.server import CLIENT_SECRET
from local.pipeline import SECRET, XDM_SETTINGS
from local.samples import (
    LARGE_BYTES,
    Sample,
    grown,
    load_samples,
    sign,
    without_empty_values,
)

# Canaries: every secret and all personal data of a webhook contain one, so a leak is found wherever
# it comes out.
VISITOR: Final = "canary-visitor"
COMMENT: Final = "canary comment"
# Each token of the AEP stand-in begins with "token-".
_CANARIES: Final = (SECRET, CLIENT_SECRET, "Bearer ", "token-", VISITOR, COMMENT)


def has_leak(text: str) -> bool:
    """Returns whether a text holds a secret or personal data."""
    return any(canary in text for canary in _CANARIES)


RECEIVED: Final = "a time of the last day"
TENANT: Final = "_" + XDM_SETTINGS["AEP_TENANT_ID"]
# Fields of raw messages and of XDM with text that holds JSON.
_JSON_TEXTS: Final = ("propertiesJson", "properties")


def aep_fingerprint(message: Mapping[str, Any]) -> bytes:
    """Returns the fingerprint of a message that AEP has accepted; of XDM, of its entity."""
    entity = message.get("body", {}).get("xdmEntity")
    if entity is None:
        return digest(sorted_json(_comparable(message)))
    own = entity.get(TENANT, {})
    pendo = _comparable(own.get("pendo", {}))
    return digest(sorted_json({**entity, TENANT: {**own, "pendo": pendo}}))


def dead_letter_fingerprint(data: bytes) -> bytes:
    """Returns the fingerprint of a dead letter: of its event, or of its bytes if it has none."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        event = None
    return digest(sorted_json(_comparable(event)) if isinstance(event, dict) else data)


def sorted_json(value: Mapping[str, Any]) -> bytes:
    """Returns a JSON object with sorted keys: the same bytes for the same value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(data: bytes) -> bytes:
    """Returns the fingerprint of bytes; for an event, pass its sorted JSON."""
    # Eight bytes, because a million are kept, and nobody tries to find a collision.
    return hashlib.blake2b(data, digest_size=8).digest()


def json_text(value: object) -> dict[str, object]:
    """Returns what text that holds this JSON value counts as."""
    return {"JSON text": value}


def _comparable(fields: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: _read(fields[key]) for key in _JSON_TEXTS if isinstance(fields.get(key), str)}
    return {**fields, **texts, "receivedAt": _received(fields.get("receivedAt"))}


def _read(text: str) -> object:
    try:
        return json_text(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _received(value: object) -> object:
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(str(value))
    except (ValueError, TypeError):  # no time, or one without a time zone
        return value
    return RECEIVED if timedelta(0) <= age <= timedelta(days=1) else value


REFUSED: Final = "rejected"
NOT_JSON: Final = "not_json"
_WRONG_TYPE: Final = "Text is no number"
# AEP rejects one webhook in so many for its content, and one in so many is not JSON.
_REFUSED_ONE_IN: Final = 200
_UNREADABLE_ONE_IN: Final = 1000
# The ids of rejected events begin like this. No other does: one in 2**48 would.
_REFUSED_IDS: Final = "bad0bad0bad0"
# One webhook in so many has this size; all others have the size of their sample.
_SIZES: Final = dict(zip((50, 500, 5000), LARGE_BYTES, strict=True))
# Placeholders in a template: the id of a webhook, its `timestamp`, and that time as text.
_ID: Final = "@id@"
_SECOND: Final = 1_111_111_111
_MOMENT: Final = "@moment@"
_FIRST_SECOND: Final = 1_760_000_000  # of webhook 0; each later one is a second later
_MILLISECONDS_FROM: Final = 100_000_000_000  # a larger `timestamp` is in milliseconds


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook.

    Attributes:
        event_id: under which it must be found again.
        cause: the reason for which it must become a dead letter; empty for none.
        request: the whole HTTP request.
        fingerprint: of what AEP must hold of it, or of its dead letter if it has a cause.
    """

    event_id: str
    cause: str
    request: bytes
    fingerprint: bytes


def make_webhook(seed: int, number: int, form: str) -> Webhook:
    """Returns webhook `number` of a run in which AEP is sent `form`, `raw` or `xdm`."""
    event_id = hashlib.sha1(b"%d/%d" % (seed, number), usedforsecurity=False).hexdigest()
    if number % _UNREADABLE_ONE_IN == _UNREADABLE_ONE_IN - 1:
        body = b"{not JSON, %s %s" % (event_id.encode(), VISITOR.encode())
        unreadable_id = hashlib.sha256(body).hexdigest()
        return Webhook(unreadable_id, NOT_JSON, _request(body), digest(body))
    is_refused = number % _REFUSED_ONE_IN == _REFUSED_ONE_IN // 2
    if is_refused:
        event_id = _REFUSED_IDS + event_id[len(_REFUSED_IDS) :]
    size = max((of for one_in, of in _SIZES.items() if number % one_in == 1), default=0)
    template = _template(number % len(_samples()), size)
    second = _FIRST_SECOND + number
    moment = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def filled(text: bytes) -> bytes:
        return text.replace(_ID.encode(), event_id.encode()).replace(
            _MOMENT.encode(), moment.encode()
        )

    body = filled(template.body).replace(b"%d" % _SECOND, b"%d" % second)
    if is_refused:
        return Webhook(event_id, REFUSED, _request(body), digest(filled(template.event)))
    return Webhook(event_id, "", _request(body), digest(filled(template.in_aep[form])))


@dataclass(frozen=True, slots=True)
class _Template:
    """A sample with placeholders for each webhook's own values.

    Attributes:
        body: of the webhook.
        event: the event that must be on the topic, as sorted JSON.
        in_aep: what AEP must hold, by the form it is sent in, as sorted JSON.
    """

    body: bytes
    event: bytes
    in_aep: Mapping[str, bytes]


@cache
def _samples() -> list[Sample]:
    return [sample for sample in load_samples() if sample.event is not None]


@cache
def _template(number: int, size: int) -> _Template:
    """Returns the template of a sample, of about `size` bytes; 0 keeps its size."""
    sample = _samples()[number]
    body, event, xdm = orjson.loads(sample.body), sample.event, sample.xdm
    assert event is not None
    assert xdm is not None
    properties = body["properties"]
    # Replaced wherever they are, in the body and in the expected event.
    own = {event["id"]: _ID, event["occurredAt"][:19]: _MOMENT}
    is_anonymous = str(event.get("visitorId")).startswith("_PENDO_T_")
    visitor = f"_PENDO_T_{VISITOR}-{_ID}" if is_anonymous else f"{VISITOR}-{_ID}@example.com"
    for key, text in (("visitorId", visitor), ("accountId", f"of-{_ID}")):
        if key in event:
            own[event[key]] = body[key] = text
    own |= dict.fromkeys(_comments(properties), f"{COMMENT} on {_ID}")
    body = {**body, "properties": _with(properties, own), "uniqueId": _ID}
    body["timestamp"] = _second_like(body["timestamp"])
    body["properties"] |= {"mark": _ID} if properties else {}
    written = grown(body, size) if size else orjson.dumps(body)
    more = {
        key: value
        for key, value in orjson.loads(written)["properties"].items()
        if key not in properties
    }
    event, xdm = _with(event, own), _with(xdm, own)
    survey = xdm.get("surveyResponse", {})
    event["receivedAt"] = xdm[TENANT]["pendo"]["receivedAt"] = RECEIVED
    added = {key: survey[key] for key in ("surveyQuestions", "surveyAnswers") if key in survey}
    if kept := {**event.get("properties", {}), **more}:
        event["properties"] = kept
    pendo = xdm[TENANT]["pendo"]
    if stored := {**_with(orjson.loads(pendo.get("properties", "{}")), own), **more}:
        pendo["properties"] = added["propertiesJson"] = json_text(stored)
    in_aep = {"raw": sorted_json({**without_empty_values(event), **added}), "xdm": sorted_json(xdm)}
    return _Template(written, sorted_json(event), in_aep)


def _comments(properties: Mapping[str, Any]) -> list[str]:
    """Returns what visitors wrote or chose."""
    answers = [*properties.get("polls", []), properties.get("poll", {})]
    said = [properties.get("nps", {}).get("reason"), *(a.get("value") for a in answers)]
    return [text for text in said if text and isinstance(text, str)]


def _second_like(timestamp: int) -> int:
    """Returns the placeholder of a `timestamp`, in seconds or milliseconds like the sample's."""
    if timestamp < _MILLISECONDS_FROM:
        return _SECOND
    return _SECOND * 1000 + timestamp % 1000


def _with(value: Any, own: Mapping[str, str]) -> Any:
    """Returns a copy of a JSON value with some texts replaced; of a time, all but the fraction."""
    if isinstance(value, dict):
        return {key: _with(inner, own) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with(element, own) for element in value]
    if not isinstance(value, str):
        return value
    if value[:19] in own and value[10:11] == "T":
        return own[value[:19]] + value[19:]
    return own.get(value, value)


def _request(body: bytes) -> bytes:
    return post_request(body, sign(body, SECRET))


def refusal() -> Fault:
    """Returns the fault by which AEP rejects the events that are made to be rejected."""
    return refusing(
        lambda message: (id_of(message) or "").startswith(_REFUSED_IDS), reason=_WRONG_TYPE
    )
