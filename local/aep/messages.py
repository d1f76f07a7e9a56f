"""The inlet's rules: what it accepts of a message, and the bodies that it answers with."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

import orjson

Entry = dict[str, object]
"""One entry of a 207."""
RAW_ID = "id"

# RFC 3986, section 4.1: the characters of a URI reference. The colon is legal there, but Adobe's
# best practices for streaming forbid it in `_id`.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_AUTHENTICATED_STATES = {"ambiguous", "authenticated", "loggedOut"}  # XDM's identity item
_PROBLEMS = "http://ns.adobe.com/adobecloud/problem/data-collection-service"


class Shape(StrEnum):
    """The recorded shapes of the 207 body; they differ in what a failed entry looks like.

    All four come from public sources, none from a specification: Adobe publishes no schema.
    """

    DOCS = "docs"
    """Adobe: "Send multiple messages in a single HTTP request": failures under `statusCode`."""
    LOG = "log"
    """An answer seen in a public log: failures under `status`, without an `xactionId`."""
    SINK = "sink"
    """The test data of Adobe's Kafka sink: `xactionId` on every entry, index after the dash."""
    SHORT = "short"
    """Like `DOCS`, one entry short: the partial failure that Adobe prints has 4 for 5 messages."""


class MessageFormat(StrEnum):
    """What an inlet accepts: XDM messages, or raw JSON for the dataflow to map."""

    AUTO = "auto"
    """A message with `header` and `body` is XDM, any other is raw."""
    RAW = "raw"
    XDM = "xdm"


class RawMode(StrEnum):
    """The ways to send raw records; an inlet may refuse some of them.

    Adobe documents the last for raw records, and the second for partial updates of profiles
    (data-prep/upserts.md). That an inlet accepts the first is seen in Adobe's Kafka sink.
    """

    BATCH = "batch"
    """The bare record, in a batch."""
    ENVELOPED = "enveloped"
    """In an envelope of `header` and `body`."""
    SINGLE = "single"
    """The bare record, as the whole request."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The guardrails that Adobe documents for one streaming connection, both per second."""

    requests: int = 1_000
    messages: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the stand-in behaves without faults.

    Change it with `aep.behaviour = replace(aep.behaviour, ...)`.

    Attributes:
        shape: what the body of a 207 looks like.
        format: what the inlet accepts.
        raw_modes: how it accepts raw records.
        needs_token: whether the inlet requires authentication.
        token_seconds: the lifetime of a token.
        latency_seconds: how long each request takes; its messages are accepted at the end.
        rate_limit: requests above it are answered 429; None for no limit.
        clock_seconds: how far its clock is ahead of ours; negative if it is behind.
    """

    shape: Shape = Shape.DOCS
    format: MessageFormat = MessageFormat.AUTO
    raw_modes: frozenset[RawMode] = frozenset(RawMode)
    needs_token: bool = False
    token_seconds: int = 86_399
    latency_seconds: float = 0.0
    rate_limit: RateLimit | None = None
    clock_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one message is refused."""

    status: int
    reason: str


def is_xdm(message: object, expected: MessageFormat) -> bool:
    """Returns whether an inlet of this format reads a message as XDM."""
    if expected is MessageFormat.AUTO:
        if raw_mode(message, is_batch=True) is RawMode.ENVELOPED:
            return False
        return isinstance(message, dict) and "header" in message and "body" in message
    return expected is MessageFormat.XDM


def raw_mode(message: object, *, is_batch: bool) -> RawMode:
    """Returns how a raw record was sent. Adobe: data-prep/upserts.md shows the envelope."""
    if isinstance(_at(message, "header", "operations"), Mapping):
        return RawMode.ENVELOPED
    return RawMode.BATCH if is_batch else RawMode.SINGLE


def raw_record(message: object) -> object:
    """Returns the record itself, without its envelope if it has one."""
    is_enveloped = raw_mode(message, is_batch=True) is RawMode.ENVELOPED
    return _at(message, "body") if is_enveloped else message


def id_of(message: object) -> str | None:
    """Returns the event ID: `body.xdmEntity._id`, else `id`; None if there is none."""
    for found in (_at(message, "body", "xdmEntity", "_id"), _at(raw_record(message), RAW_ID)):
        if _is_text(found):
            return str(found)
    return None


def check(
    message: object,
    behaviour: Behaviour,
    now: datetime,
    raw_id: str | None = RAW_ID,
    *,
    is_batch: bool = True,
) -> Refusal | None:
    """Returns why AEP would refuse the message, or None if it would accept it.

    Args:
        message: The parsed message.
        behaviour: What the inlet accepts.
        now: AEP's current time.
        raw_id: The key that a raw record must have; None for any JSON object.
        is_batch: Whether it came to the batch endpoint.
    """
    if is_xdm(message, behaviour.format):
        reason = _wrong_in_xdm(message, now)
    else:
        mode = raw_mode(message, is_batch=is_batch)
        reason = _wrong_in_mode(message, mode, behaviour.raw_modes) or _wrong_in_raw(
            raw_record(message), raw_id
        )
    return Refusal(400, reason) if reason else None


def _wrong_in_mode(message: object, mode: RawMode, taken: Collection[RawMode]) -> str | None:
    """Returns what the inlet misses if it does not accept raw records in this way.

    Adobe's OpenAPI requires `header` and `body` of each message of a batch. The texts about an
    envelope are assumed.
    """
    if mode is not RawMode.ENVELOPED:
        return None if mode in taken else "The 'header' field is mandatory and cannot be empty"
    if mode not in taken:
        return "The 'header.schemaRef.id' field is mandatory"
    for name in ("flowId", "imsOrgId", "datasetId"):
        if not _is_text(_at(message, "header", name)):
            return f"The 'header.{name}' field is mandatory"
    return None


def _wrong_in_raw(message: object, raw_id: str | None) -> str | None:
    if not isinstance(message, dict):
        return "Message is not a JSON object"
    if raw_id is not None and not _is_text(message.get(raw_id)):
        # The form of Adobe's own error for a mandatory mapping that found nothing.
        return f"{raw_id}:expected minLength:1, actual 0"
    return None


def _wrong_in_xdm(message: object, now: datetime) -> str | None:
    for field in ("header", "body"):
        if not _at(message, field):
            return f"The '{field}' field is mandatory and cannot be empty"
    return _wrong_in_header(message) or wrong_in_entity(_at(message, "body", "xdmEntity"), now)


def _wrong_in_header(message: object) -> str | None:
    reference = _at(message, "header", "schemaRef")
    for name in ("id", "contentType"):
        if not _is_text(_at(reference, name)):
            return f"The 'header.schemaRef.{name}' field is mandatory"
    if not _is_text(_at(message, "header", "imsOrgId")):
        return "Message has an absent or wrong ims org in the header"
    for name in ("datasetId", "flowId"):
        if not _is_text(_at(message, "header", name)):
            return f"The 'header.{name}' field is mandatory"
    if _at(message, "body", "xdmMeta", "schemaRef") != reference:
        return "Message has unknown xdm format"
    return None


def wrong_in_entity(entity: object, now: datetime) -> str | None:
    """Returns what no ExperienceEvent may contain, whatever its schema; None if it is valid."""
    if not isinstance(entity, dict) or not entity:
        return "The 'body.xdmEntity' field is mandatory and cannot be empty"
    event_id = entity.get("_id")
    if not isinstance(event_id, str) or not _URI_REFERENCE.fullmatch(event_id):
        return "_id: expected a URI reference"
    if ":" in event_id:
        return "_id: colons are not permitted"
    return _wrong_in_timestamp(entity.get("timestamp"), now) or _wrong_in_identities(
        entity.get("identityMap", {})
    )


def _wrong_in_timestamp(value: object, now: datetime) -> str | None:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        return "timestamp: expected an RFC 3339 date-time"
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        return "timestamp: no such date-time"
    if moment > now:
        return "timestamp: is in the future"
    return None


def _wrong_in_identities(identities: object) -> str | None:
    if not isinstance(identities, dict):
        return "identityMap: expected type: JSONObject"
    for namespace, items in identities.items():
        if not isinstance(items, list) or not items:
            return f"identityMap.{namespace}: expected a list of identities"
        if not all(_is_identity(item) for item in items):
            return f"identityMap.{namespace}: malformed identity"
    return None


def _is_identity(item: object) -> bool:
    return (
        isinstance(item, dict)
        and _is_text(item.get("id"))
        and isinstance(item.get("primary", False), bool)
        and item.get("authenticatedState", "ambiguous") in _AUTHENTICATED_STATES
    )


def _at(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def utc_now() -> datetime:
    """Returns the current time."""
    return datetime.now(UTC)


def single(inlet: str, number: int, received_ms: int) -> bytes:
    """Returns the body for one accepted message."""
    return orjson.dumps(
        {
            "inletId": inlet,
            "xactionId": f"{received_ms}:1485:{number}",
            "receivedTimeMs": received_ms,
        }
    )


def batch(inlet: str, number: int, received_ms: int, entries: Sequence[Entry]) -> bytes:
    """Returns the body of a 207."""
    return orjson.dumps(
        {
            "inletId": inlet,
            "batchId": f"{received_ms}:1485:{number}",
            "receivedTimeMs": received_ms,
            "responses": entries,
        }
    )


def entries(
    shape: Shape, number: int, received_ms: int, outcomes: Sequence[Refusal | None]
) -> list[Entry]:
    """Returns one entry for each message, in their order and in the given shape."""
    match shape:
        case Shape.SINK:
            transaction = str(uuid4())
            return [
                {"xactionId": f"{transaction}-{i}"} | _failure(outcome, "status")
                for i, outcome in enumerate(outcomes)
            ]
        case Shape.LOG:
            key = "status"
        case Shape.DOCS | Shape.SHORT:
            key = "statusCode"
    transaction = f"{received_ms}:1485:{number}"
    found: list[Entry] = [
        _failure(outcome, key) or {"xactionId": f"{transaction}:{i}"}
        for i, outcome in enumerate(outcomes)
    ]
    return found[:-1] if shape is Shape.SHORT else found


def _failure(outcome: Refusal | None, key: str) -> Entry:
    return {key: outcome.status, "message": outcome.reason} if outcome else {}


def problem(inlet: str, status: int, title: str, message: str) -> bytes:
    """Returns the body of a request that failed as a whole."""
    return orjson.dumps(
        {
            "type": f"{_PROBLEMS}/inlet",
            "status": status,
            "title": title,
            "report": {"message": f"inletId: [{inlet}] {message}"},
        }
    )


def unauthorized(reason: str) -> bytes:
    """Returns the body of a 401; its status is text, unlike everywhere else."""
    return orjson.dumps(
        {
            "type": "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization",
            "status": "401",
            "title": "Authorization",
            "report": {"message": f"[id] {reason}"},
        }
    )
