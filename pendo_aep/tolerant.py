"""Values in whatever JSON type Pendo spells them: what can be read is, anything else is nothing."""

from __future__ import annotations

import orjson

from pendo_aep.dead_letter import Reason
from pendo_aep.unreadable import Unreadable


def text_of(value: object) -> str:
    """Text, or a number as text; anything else is nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def number_of(value: object) -> float | None:
    """A finite number, also one written as text; anything else is nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def to_json(value: object) -> bytes:
    """The value as JSON.

    Raises:
        Unreadable: it is nested too deep to be written again.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # orjson reads 1,024 levels, and writes 254
        raise Unreadable(Reason.NOT_AN_EVENT, "nested too deep, over 254 levels") from None
