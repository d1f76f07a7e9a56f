"""Fingerprints of whole events: in AEP, raw or XDM, and in a dead letter.

Two events have the same fingerprint if they are equal as JSON values. Text that holds JSON counts
as the value in it. `receivedAt`, which nobody can predict, counts as "a time of the last day".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from local.pipeline import XDM_SETTINGS

RECEIVED: Final = "a time of the last day"
TENANT: Final = "_" + XDM_SETTINGS["AEP_TENANT_ID"]
# In raw messages and in XDM: text that holds JSON.
_JSON_TEXTS: Final = ("propertiesJson", "properties")


def in_aep(message: Mapping[str, Any]) -> bytes:
    """The fingerprint of a message that AEP has accepted; of XDM, of the entity in its envelope."""
    entity = message.get("body", {}).get("xdmEntity")
    if entity is None:
        return digest(sorted_json(_comparable(message)))
    own = entity.get(TENANT, {})
    pendo = _comparable(own.get("pendo", {}))
    return digest(sorted_json({**entity, TENANT: {**own, "pendo": pendo}}))


def in_letter(data: bytes) -> bytes:
    """The fingerprint of a dead letter: of its event, or of its bytes if it holds none."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        event = None
    return digest(sorted_json(_comparable(event)) if isinstance(event, dict) else data)


def sorted_json(value: Mapping[str, Any]) -> bytes:
    """A JSON object with its keys in order: the same bytes for the same value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(data: bytes) -> bytes:
    """The fingerprint of bytes; of an event, of its sorted JSON."""
    # Eight bytes: a million are kept, and nobody tries to make two events with the same one.
    return hashlib.blake2b(data, digest_size=8).digest()


def json_text(value: object) -> dict[str, object]:
    """What text that holds this JSON value counts as."""
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
