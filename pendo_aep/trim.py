"""Making an event fit Profile: its largest properties are left out, and named.

Adobe: Profile guardrails, "maximum ExperienceEvent size: 10 KB"; what is larger reaches the data
lake, and is dropped by Profile without a word.
"""

from __future__ import annotations

from typing import Final

import orjson

from pendo_aep.event import Event, NotAnEvent
from pendo_aep.xdm import TOO_DEEP, Format

PROFILE_LIMIT_BYTES: Final = 10_240
# A property of this name says which are missing.
TRIMMED: Final = "_trimmed"


def trim(event: Event, encode: Format, limit: int = PROFILE_LIMIT_BYTES) -> bytes:
    """The event as AEP takes it, without as many of its largest properties as make it fit.

    What stands elsewhere is never touched: an event that is too large without any property stays
    too large, and is sent all the same.

    Raises:
        NotAnEvent: the event is nested too deep to be written again.
    """
    properties = event.get("properties")
    if not isinstance(properties, dict):  # something else wrote it: AEP judges
        return _encode(event, encode)
    by_size = sorted(properties, key=lambda name: len(orjson.dumps(properties[name])))
    kept, trimmed = dict(properties), list[str]()
    while True:
        smaller: Event = {**event, "properties": {**kept, TRIMMED: trimmed}}
        message = _encode(smaller, encode)
        if encode.stored_bytes(message, smaller) <= limit or not by_size:
            return message
        largest = by_size.pop()
        del kept[largest]
        trimmed.append(largest)


def _encode(event: Event, encode: Format) -> bytes:
    try:
        data = orjson.dumps(event)
    except orjson.JSONEncodeError:
        raise NotAnEvent(TOO_DEEP) from None
    return encode.encode(data, event)
