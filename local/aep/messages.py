"""What AEP looks at in a message before it takes it: the XDM envelope, or a raw record's id."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local.aep.behaviour import Behaviour, MessageFormat, RawMode

RAW_ID = "id"

# RFC 3986, section 4.1: the characters of a URI reference. The colon is legal there, but Adobe's
# best practices for streaming forbid it in `_id`.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_AUTHENTICATED_STATES = {"ambiguous", "authenticated", "loggedOut"}  # XDM's identity item


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one message is not taken."""

    status: int
    reason: str


def is_xdm(message: object, expected: MessageFormat) -> bool:
    """Say whether a message is to be read as XDM by an inlet of that format."""
    if expected is MessageFormat.AUTO:
        if raw_mode(message, is_batch=True) is RawMode.ENVELOPED:
            return False
        return isinstance(message, dict) and "header" in message and "body" in message
    return expected is MessageFormat.XDM


def raw_mode(message: object, *, is_batch: bool) -> RawMode:
    """Return how a raw record was sent. Adobe: data-prep/upserts.md shows the envelope."""
    if isinstance(_at(message, "header", "operations"), Mapping):
        return RawMode.ENVELOPED
    return RawMode.BATCH if is_batch else RawMode.SINGLE


def raw_record(message: object) -> object:
    """Return the record itself, out of its envelope if it has one."""
    is_enveloped = raw_mode(message, is_batch=True) is RawMode.ENVELOPED
    return _at(message, "body") if is_enveloped else message


def id_of(message: object) -> str | None:
    """Return the event id: `body.xdmEntity._id`, else `id`; None where there is none."""
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
    """Return why AEP would refuse the message, None where it would not.

    Args:
        message: as it was parsed.
        behaviour: what the inlet takes.
        now: what "in the future" is measured against.
        raw_id: the key that a raw record must have; None for any JSON object.
        is_batch: whether it came to the batch endpoint.
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
    """Return what the inlet misses, where it does not take raw records in this way.

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
    if not _is_text(_at(message, "header", "datasetId")):
        return "The 'header.datasetId' field is mandatory"
    if _at(message, "body", "xdmMeta", "schemaRef") != reference:
        return "Message has unknown xdm format"
    return None


def wrong_in_entity(entity: object, now: datetime) -> str | None:
    """Return what no ExperienceEvent may be, whatever its schema; None where it is in order."""
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
    """Return the time that "in the future" is measured against."""
    return datetime.now(UTC)
