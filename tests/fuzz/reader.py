"""A reader of JSON that is not the project's own, for targets to compare with."""

from __future__ import annotations

import json
import math
from typing import Any

# Brackets in all, so that no reader finds it too deep.
_MAX_BRACKETS = 200


def read_plainly(data: bytes) -> Any:
    """The value, of JSON about which no two readers differ.

    Raises:
        ValueError: it is not JSON; or deep, or with a number or an escape that readers differ in.
    """
    text = data.decode()
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise ValueError("perhaps too deep")
    if "\\ud" in text.lower():
        raise ValueError("perhaps a lone surrogate")
    return json.loads(
        text, parse_int=_integer, parse_float=_finite, parse_constant=_refuse_constant
    )


def _integer(text: str) -> int | float:
    """What is over 64 bits is a float, as everywhere in the project."""
    number = int(text)
    return number if -(2**63) <= number < 2**64 else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("beyond every float")
    return number


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
