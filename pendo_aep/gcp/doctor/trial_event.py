"""The event that the doctor sends: made up, easily told from a visitor's, and stored by AEP."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final
from uuid import uuid4

import orjson

from pendo_aep import clock
from pendo_aep.event import EVENT_TYPES, OTHER_TYPES

VISITOR: Final = "pendo-to-aep-test"
_TEST: Final = "test"


def new_id() -> str:
    """An id that no event has yet."""
    return f"test-{uuid4().hex}"


def trial_event(event_id: str, kept_types: Set[str]) -> bytes:
    """The body of a webhook.

    Args:
        event_id: its `uniqueId`.
        kept_types: what `PENDO_EVENTS` keeps; empty is all.
    """
    body: dict[str, Any] = {
        "event": _event_name(kept_types),
        "uniqueId": event_id,
        "timestamp": int(clock.now().timestamp()),
        "visitorId": VISITOR,
        "app": {"name": VISITOR},
        "properties": {},
    }
    return orjson.dumps(body)


def _event_name(kept_types: Set[str]) -> str:
    if not kept_types:
        return _TEST
    chosen = min(kept_types)
    names = {event_type: name for name, event_type in EVENT_TYPES.items()}
    return names.get(chosen) or chosen.removeprefix(OTHER_TYPES)
