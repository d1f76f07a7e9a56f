"""Making an event fit Profile: its largest properties are left out, and named.

Adobe: Profile guardrails, "maximum ExperienceEvent size: 10 KB"; what is larger reaches the data
lake, and is dropped by Profile without a word.
"""

from __future__ import annotations

from bisect import bisect_left
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
    largest_first = sorted(properties, key=lambda name: len(orjson.dumps(properties[name])))[::-1]

    def without(count: int) -> tuple[bytes, Event]:
        trimmed = largest_first[:count]
        kept = dict(properties)
        for name in trimmed:
            del kept[name]
        smaller: Event = {**event, "properties": {**kept, TRIMMED: trimmed}}
        return _encode(smaller, encode), smaller

    # Each try writes the whole event: of hundreds of properties, not one try each.
    count = bisect_left(
        range(len(largest_first)), True, key=lambda c: encode.stored_bytes(*without(c)) <= limit
    )
    return without(count)[0]


def _encode(event: Event, encode: Format) -> bytes:
    try:
        data = orjson.dumps(event)
    except orjson.JSONEncodeError:
        raise NotAnEvent(TOO_DEEP) from None
    return encode.encode(data, event)
