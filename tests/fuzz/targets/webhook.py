"""Webhooks: only the right HMAC verifies a body, and a body becomes an event or a dead letter."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from pendo_aep.dead_letters import InvalidWebhook, Reason
from pendo_aep.event import PLAIN_ID, Event, InvalidEvent, encode, message_attributes, read_event
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import SignatureMissing, SignatureWrong, VerifiedBody, verify
from pendo_aep.pendo.webhook import MAX_EVENT_NAME, Webhook, is_ping, is_unsigned_ping, parse
from pendo_aep.pubsub.client import Message
from pendo_aep.settings import ReceiveSettings
from tests.fuzz.common import (
    MAX_VALUE_BYTES,
    NOW,
    check_dead_letter,
    check_sending,
    large,
    read_plainly,
    rows,
    samples,
)

SECRETS: Final = (b"first-secret", "zweites-geheimnis-é".encode())
# Placeholders in a fuzzer's header for the right digest, which it could never guess, and for the
# digest of another body.
_RIGHT: Final = b"@"
_OTHERS: Final = b"~"
_REDACTED: Final = ReceiveSettings.model_fields["redact"].default


def check_signature(data: bytes) -> None:
    """Verifies a body: lines are headers, the body follows an empty line.

    Raises:
        AssertionError: Verified without the right digest, or rejected with it.
    """
    head, _, body = data.partition(b"\n\n")
    right = hmac.new(SECRETS[len(body) % 2], body, hashlib.sha256).hexdigest()
    others = hmac.new(SECRETS[0], body + b"x", hashlib.sha256).hexdigest()
    headers = [
        line.replace(_RIGHT, right.encode()).replace(_OTHERS, others.encode()).decode("latin-1")
        for line in (head.split(b"\n") if head else [])
    ]
    try:
        is_verified = verify(body, headers, SECRETS) == body
    except SignatureMissing:
        assert not headers
        return
    except SignatureWrong:
        is_verified = False
    assert is_verified == (len(headers) == 1 and _spells(headers[0], right))


def _spells(header: str, digest: str) -> bool:
    """Returns whether it is the digest, in any case, with or without `sha256=` and white space."""
    text = header.strip().lower()
    return text in {digest, f"sha256={digest}"}


def signature_seeds() -> Iterator[bytes]:
    """Yields the spellings of the tests' table, and some more."""
    for row in rows("signatures"):
        text = re.sub(r"\{(right|RIGHT|short)\}", "@", "\n".join(row["signatures"]))
        yield text.encode("latin-1", "replace") + b'\n\n{"event":"ping"}'
    yield b"\n\n"
    yield b"sha256=@\n\n"
    yield b"@\n@\n\nbody"
    yield b"~\n\nbody"


def check_body(data: bytes) -> None:
    """Does what `receive` and `deliver` do with an authentic body, up to the bytes sent to AEP.

    Raises:
        AssertionError: Something is lost or added on the way, or a good event is quarantined.
            Any other exception would have been a 500.
    """
    raw = VerifiedBody(data)
    try:
        webhook = parse(raw, _REDACTED)
        event = normalise(webhook, raw, NOW)
        written = encode(event)
    except InvalidWebhook as error:
        _check_quarantined(data, error.reason, error.detail)
        return
    except InvalidEvent as error:
        _check_quarantined(data, Reason.NOT_AN_EVENT, str(error))
        return
    _check_ping(data, webhook)
    _check_event(event)
    _check_nothing_is_lost(data, event)
    attributes = message_attributes(event)
    assert Message(data=written, attributes=attributes).attributes["eventId"] == event["id"]
    assert all(0 < len(value.encode()) <= MAX_VALUE_BYTES for value in attributes.values())
    assert read_event(written) == event
    check_sending(written, event)  # what is acknowledged can be sent


def _check_quarantined(data: bytes, reason: Reason, detail: str) -> None:
    """Checks that it is not an event, and that its dead letter can be published."""
    assert not _is_plainly_an_event(data), "quarantined, but it could be read"
    attributes = {"eventId": hashlib.sha256(data).hexdigest()}
    check_dead_letter(data, attributes, reason=reason, detail=detail, stage="receive")
    assert not is_unsigned_ping(data) or _type_name(data) == "ping"


def _check_ping(data: bytes, webhook: Webhook) -> None:
    """Checks that nothing that would be published is answered as an unsigned ping."""
    assert not is_unsigned_ping(data) or is_ping(webhook)


def _check_event(event: Event) -> None:
    """Checks that it conforms to the specification, whatever it was made of."""
    assert PLAIN_ID.fullmatch(event["id"])
    assert event["occurredAt"] <= event["receivedAt"]
    assert event["type"]
    for path in _REDACTED:
        assert _without(event, path) == event, "redacted, but still there"


def _check_nothing_is_lost(data: bytes, event: Event) -> None:
    """Checks that the event has what another reader finds in the body, where readers agree."""
    try:
        sent = read_plainly(data)
    except ValueError:
        return
    for path in _REDACTED:
        sent = _without(sent, path)
    assert event["pendoEvent"] == sent["event"]
    assert event.get("properties", {}) == (sent.get("properties") or {})
    for key in ("visitorId", "accountId", "userAgent"):
        if isinstance(sent.get(key), str):
            assert event.get(key, "") == sent[key]
    assert event["id"] == _id_by_specification(sent.get("uniqueId"), data)
    _check_group(event.get("track"), sent, "trackEventReceived", name="name", source="source")
    _check_group(
        event.get("browser"), sent, "visitorCreated", name="browserName", version="browserVersion"
    )
    nps = (sent.get("properties") or {}).get("nps")
    if isinstance(nps, dict) and type(nps.get("rating")) is int:
        assert event["nps"]["rating"] == nps["rating"]


def _id_by_specification(unique_id: str | float | None, data: bytes) -> str:
    """Returns the id by the table of the normalised event; of an inexact one, its hash."""
    is_exact = isinstance(unique_id, int) and -(2**53) < unique_id < 2**53
    text = str(unique_id) if is_exact or isinstance(unique_id, str) else ""
    if PLAIN_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode() if text.strip() else data).hexdigest()


def _check_group(made: object, sent: Any, event_name: str, **keys: str) -> None:
    """Checks that an object made of properties has their texts, for one kind of event only."""
    if sent["event"] != event_name:
        assert made is None
        return
    group = made if isinstance(made, dict) else {}
    assert made != {}, "empty, but not left out"
    assert group.keys() <= keys.keys()
    for key, of in keys.items():
        value = (sent.get("properties") or {}).get(of)
        if isinstance(value, str):
            assert group.get(key, "") == value


def _is_plainly_an_event(data: bytes) -> bool:
    """Returns whether it is clearly an event by the specification."""
    try:
        sent = read_plainly(data)
    except ValueError:
        return False
    if not isinstance(sent, dict) or not isinstance(sent.get("event"), str):
        return False
    if not isinstance(sent.get("properties"), dict | None):
        return False
    groups: list[tuple[dict[str, Any], tuple[str, ...]]]
    groups = [(sent, ("uniqueId", "visitorId", "accountId", "userAgent"))]
    for name, keys in (("app", ("id", "name", "platform")), ("subscription", ("id", "name"))):
        group = sent.get(name)
        if not isinstance(group, dict | None):
            return False
        groups.append((group or {}, keys))
    return 0 < len(sent["event"]) <= MAX_EVENT_NAME and all(
        isinstance(group.get(key), str | int | float | None)
        and not isinstance(group.get(key), bool)
        for group, keys in groups
        for key in keys
    )


def _type_name(data: bytes) -> object:
    value = orjson.loads(data)
    return value.get("event") if isinstance(value, dict) else None


def _without(value: Any, path: tuple[str, ...]) -> Any:
    """Returns the value without what is at the path; a list means each of its elements."""
    if isinstance(value, list):
        return [_without(element, path) for element in value]
    if not isinstance(value, dict):
        return value
    first, *rest = path
    return {
        key: _without(inner, tuple(rest)) if key == first else inner
        for key, inner in value.items()
        if key != first or rest
    }


def body_seeds() -> Iterator[bytes]:
    """Yields Pendo's webhooks, larger ones, and the bodies of the test tables."""
    yield from samples(".json")
    yield from large(".json")
    for row in rows("normalised"):
        yield orjson.dumps(row["webhook"])
    for table in ("answers", "ratings", "timestamps"):
        for row in rows(table):
            told = {key: row[key] for key in ("properties", "timestamp") if key in row}
            nps = {"properties": {"nps": row["nps"]}} if "nps" in row else {}
            body = {"event": "npsSubmitted", "uniqueId": "u"} | told | nps
            yield json.dumps(body).encode()  # some of its numbers are too large for orjson
    for row in rows("event_ids"):
        yield f'{{"event":"x","uniqueId":{row["uniqueId"]}}}'.encode()
    for row in rows("unreadable"):
        yield row["body"].encode()
    yield b'{"event":"x","event":"y","properties":{"poll":' + b"[" * 40 + b"]" * 40 + b"}}"
    staff = b'{"createdByUser":{"username":"u"},"lastUpdatedByUser":1}'
    for guides in (b"[%s]", b"[[%s],1]", b"[%s,[]]"):
        yield b'{"event":"x","properties":{"guideProperties":' + guides % staff + b"}}"
    for depth in (
        251,
        252,
        253,
        254,
        1000,
        1100,
    ):  # orjson's limits, writing and reading
        yield b'{"event":"x","properties":{"poll":' + b"[" * depth + b"]" * depth + b"}}"
